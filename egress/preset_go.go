// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// discoverGo asks the go command for its module proxies and checksum database.
func discoverGo(ctx context.Context, run Runner) (Preset, error) {
	out, err := run(ctx, []string{"go", "env", "-json", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY"})
	if err != nil {
		return Preset{}, fmt.Errorf("go env: %w", err)
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		return Preset{}, fmt.Errorf("go env: %w", err)
	}
	var p Preset
	files, err := readConfig(ctx, run, `"${XDG_CONFIG_HOME:-$HOME/.config}/go/env"`)
	if err != nil {
		p.note("credentials of GOPROXY: %v; left out", err)
	}
	if err := p.goProxy(env["GOPROXY"], files); err != nil {
		return Preset{}, err
	}
	if err := p.goSumDB(env["GOSUMDB"]); err != nil {
		return Preset{}, err
	}
	if v := env["GONOSUMDB"]; v != "" {
		p.setenv("GONOSUMDB", v)
	}
	if v := env["GONOPROXY"]; v != "" {
		p.note("modules that match GONOPROXY=%s are asked of the proxy too: fetching them directly needs the hosts of version control, which no preset opens", clip(v))
	}
	p.setenv("GONOPROXY", "none") // GOPRIVATE of a project would set it
	return p, nil
}

// goProxyForms are the paths of the module proxy protocol
// (go.dev/ref/mod#goproxy-protocol), with a checksum database behind it.
func goProxyForms() []string { return []string{"/**/@v/*", "/**/@latest", "/sumdb/**"} }

// sumDBForms are those of a checksum database (go.dev/ref/mod#checksum-database).
func sumDBForms() []string { return []string{"/lookup/**", "/tile/**", "/latest", "/supported"} }

// goProxy reads the list of proxies (go.dev/ref/mod#environment-variables): a
// comma goes on after 404 and 410, a bar after any error.
func (p *Preset) goProxy(list string, files []configFile) error {
	var kept strings.Builder
	separator := ""
	for list != "" {
		item := list
		next := ""
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			item, next, list = list[:i], list[i:i+1], list[i+1:]
		} else {
			list = ""
		}
		switch item = strings.TrimSpace(item); item {
		case "":
		case "direct":
			p.note("GOPROXY without direct: the hosts of version control are not opened; name them with --allow")
		case "off":
			list = "" // what stands behind it is never asked
		default:
			u, err := p.add(source{url: item, origin: "go env GOPROXY", forms: goProxyForms(), inject: urlInject(item, files), ecosystem: "go"})
			if err != nil {
				p.note("%v; left out", err)
				break
			}
			if kept.Len() > 0 {
				kept.WriteString(separator)
			}
			kept.WriteString(u)
			separator = next
		}
	}
	if kept.Len() == 0 {
		return errors.New("go env GOPROXY names no module proxy (direct and off do not count); set one, or name hosts with --allow")
	}
	p.setenv("GOPROXY", kept.String())
	return nil
}

// goSumDB reads "off", or "name[+key] [url]". The go command asks a proxy for
// /sumdb/ first, and the database itself if the proxy has none of it.
func (p *Preset) goSumDB(v string) error {
	if v == "" {
		return nil
	}
	p.setenv("GOSUMDB", v)
	name, u, hasURL := strings.Cut(strings.TrimSpace(v), " ")
	if name == "off" {
		return nil
	}
	for i := range p.Registries { // each proxy is asked for it first
		p.Registries[i].SumDB = name
	}
	if !hasURL {
		host, _, _ := strings.Cut(name, "+")
		u = "https://" + host
	}
	clean, err := p.add(source{url: u, origin: "go env GOSUMDB", forms: sumDBForms()})
	if err != nil {
		return err
	}
	if hasURL {
		p.setenv("GOSUMDB", name+" "+clean)
	}
	return nil
}
