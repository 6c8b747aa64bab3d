// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// cargoConfigPath is above every job's folder: cargo reads .cargo/config.toml in
// each of them (doc.rust-lang.org/cargo/reference/config.html).
const cargoConfigPath = "/.cargo/config.toml"

// cargo cannot be asked where its own registry is. Its index is named in
// doc.rust-lang.org/cargo/reference/registries.html, and where that index says that
// crates are in its config.json.
const (
	cargoIndex  = "sparse+https://index.crates.io/"
	cargoCrates = "https://static.crates.io/crates"
)

// cargoIndexForms are the files of a sparse index
// (doc.rust-lang.org/cargo/reference/registry-index.html).
func cargoIndexForms() []string { return []string{"/config.json", "/1/*", "/2/*", "/3/*/*", "/*/*/*"} }

// cargoCrateForms are the places that "dl" of a config.json leads to by custom.
func cargoCrateForms() []string {
	return []string{"/**.crate", "/**/download", "/api/v1/crates/*/*/download"}
}

// discoverCargo reads the operator's configuration of cargo: registries, and the
// source that stands in the place of the built-in one.
func discoverCargo(ctx context.Context, run Runner) (Preset, error) {
	const home = `"${CARGO_HOME:-$HOME/.cargo}"`
	files, err := readConfig(ctx, run, home+"/config.toml", home+"/config", home+"/credentials.toml", home+"/credentials")
	if err != nil {
		return Preset{}, err
	}
	var p Preset
	all := cargoConfig{Registries: map[string]cargoRegistry{}, Sources: map[string]cargoSource{}}
	tokens := map[string]string{} // registry → file
	for _, f := range files {
		c, err := parseCargo(f.data)
		if err != nil {
			return Preset{}, fmt.Errorf("%s: %w", f.path, err)
		}
		all.take(c)
		for name, r := range c.registries() {
			if r.Token != "" {
				tokens[name] = f.path
			}
		}
	}
	env := readVariables(ctx, run)
	all.variables(env)
	inject := func(name string) *Inject {
		if v := cargoVariable(name, "TOKEN"); env[v] != "" {
			return injectEnv(v, "")
		}
		if file := tokens[name]; file != "" {
			return injectConfig("cargo", name, file, "")
		}
		return nil
	}
	out := cargoConfig{Registries: map[string]cargoRegistry{}, Sources: map[string]cargoSource{}}
	for _, name := range slices.Sorted(maps.Keys(all.Registries)) {
		if clean, ok := p.cargoIndex(all.Registries[name].Index, "cargo registry "+name, inject(name)); ok {
			out.Registries[name] = cargoRegistry{Index: clean}
			if inject(name) != nil {
				// A registry may say that it needs a token, and then cargo wants to have one.
				p.setenv(cargoVariable(name, "TOKEN"), Placeholder)
				p.setenv("CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS", "cargo:token")
			}
		}
	}
	if err := p.cargoSources(all, &out, inject); err != nil {
		return Preset{}, err
	}
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(out); err != nil {
		return Preset{}, err
	}
	if b.Len() > 0 {
		p.file(cargoConfigPath, b.Bytes())
	}
	p.note("cargo publish, search and owner are refused: they write, or ask the registry's own interface")
	return p, nil
}

// cargoSources follows the replacement of the built-in source to its end.
func (p *Preset) cargoSources(all cargoConfig, out *cargoConfig, inject func(string) *Inject) error {
	name := "crates-io"
	for range 8 {
		s := all.Sources[name]
		if s.With == "" {
			switch {
			case name == "crates-io":
				if u := all.Registries["crates-io"].Index; u != "" {
					return nil
				}
				if _, ok := p.cargoIndex(cargoIndex, "cargo's default", inject("crates-io")); !ok {
					return errors.New("bug: cargo's default index")
				}
				files, err := p.add(source{url: cargoCrates, origin: "cargo's default", redirects: true})
				for i := range p.Registries {
					p.Registries[i].Files = append(p.Registries[i].Files, files)
				}
				return err
			case s.Registry != "":
				clean, ok := p.cargoIndex(s.Registry, "cargo source "+name, inject(name))
				if !ok {
					return fmt.Errorf("cargo source %s, which replaces the built-in one, cannot be reached by http or https", name)
				}
				out.Sources[name] = cargoSource{Registry: clean}
				return nil
			case all.Registries[name].Index != "":
				return nil // opened with the registries
			default:
				p.note("cargo takes crates from files of this machine (source %s): they are not handed to the job", name)
				delete(out.Sources, "crates-io")
				return nil
			}
		}
		out.Sources[name] = cargoSource{With: s.With}
		name = s.With
	}
	return errors.New("cargo sources replace each other in a circle")
}

// cargoIndex opens an index. Its crates are expected on the same host.
func (p *Preset) cargoIndex(raw, origin string, in *Inject) (clean string, ok bool) {
	if raw == "" {
		return "", false
	}
	bare, sparse := strings.CutPrefix(raw, "sparse+")
	s := source{url: bare, origin: origin, forms: cargoIndexForms(), wide: cargoCrateForms(), inject: in, redirects: true, ecosystem: "cargo"}
	if !sparse {
		p.note("%s: an index in git is left out; name the registry as sparse+https://…", origin)
		return "", false
	}
	u, err := p.add(s)
	if err != nil {
		p.note("%v; left out", err)
		return "", false
	}
	if in != nil { // crates of a private registry need it too
		s.forms, s.wide = cargoCrateForms(), nil
		if _, err := p.add(s); err != nil {
			p.note("%v; left out", err)
		}
	}
	return "sparse+" + u, true
}

// cargoConfig is the part of config.toml and credentials.toml that is about
// registries.
type cargoConfig struct {
	Registry   *cargoRegistry           `toml:"registry,omitempty"` // that of crates.io; its token only
	Registries map[string]cargoRegistry `toml:"registries,omitempty"`
	Sources    map[string]cargoSource   `toml:"source,omitempty"`
}

type cargoRegistry struct {
	Index string `toml:"index,omitempty"`
	Token string `toml:"token,omitempty"`
}

type cargoSource struct {
	Registry string `toml:"registry,omitempty"`
	With     string `toml:"replace-with,omitempty"`
}

func parseCargo(data []byte) (cargoConfig, error) {
	var c cargoConfig
	if err := toml.Unmarshal(data, &c); err != nil {
		return cargoConfig{}, errors.New("is no TOML that cargo would read")
	}
	return c, nil
}

func (c cargoConfig) registries() map[string]cargoRegistry {
	out := maps.Clone(c.Registries)
	if out == nil {
		out = map[string]cargoRegistry{}
	}
	if c.Registry != nil && c.Registry.Token != "" {
		out["crates-io"] = cargoRegistry{Index: out["crates-io"].Index, Token: c.Registry.Token}
	}
	return out
}

// take adds what another file says and this one does not.
func (c *cargoConfig) take(o cargoConfig) {
	for name, r := range o.Registries {
		if c.Registries[name].Index == "" {
			c.Registries[name] = cargoRegistry{Index: r.Index}
		}
	}
	for name, s := range o.Sources {
		if _, ok := c.Sources[name]; !ok {
			c.Sources[name] = s
		}
	}
}

// variables reads CARGO_REGISTRIES_NAME_INDEX.
func (c *cargoConfig) variables(env map[string]string) {
	for k, v := range env {
		name, ok := strings.CutPrefix(k, "CARGO_REGISTRIES_")
		if name, isIndex := strings.CutSuffix(name, "_INDEX"); ok && isIndex {
			c.Registries[strings.ReplaceAll(strings.ToLower(name), "_", "-")] = cargoRegistry{Index: v}
		}
	}
}

func cargoVariable(registry, key string) string {
	if registry == "crates-io" {
		return "CARGO_REGISTRY_" + key
	}
	return "CARGO_REGISTRIES_" + strings.ToUpper(strings.ReplaceAll(registry, "-", "_")) + "_" + key
}

func cargoCredential(key string, data []byte) (string, error) {
	c, err := parseCargo(data)
	if err != nil {
		return "", err
	}
	if token := c.registries()[key].Token; token != "" {
		return token, nil
	}
	return "", errNoCredential
}
