// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// nugetConfigPath is machine-wide configuration, which NuGet reads beside a user's
// (learn.microsoft.com/nuget/consume-packages/configuring-nuget-behavior).
const nugetConfigPath = "/etc/opt/NuGet/Config/zviz.Config"

// nugetDefault is the source that NuGet writes into a user's first configuration
// (learn.microsoft.com/nuget/reference/nuget-config-file).
const nugetDefault = "https://api.nuget.org/v3/index.json"

// discoverNuGet reads NuGet.Config of the user and of the machine.
func discoverNuGet(ctx context.Context, run Runner) (Preset, error) {
	files, err := readConfig(ctx, run,
		`"$HOME/.nuget/NuGet/NuGet.Config"`, `"$HOME"/.nuget/config/*.[Cc]onfig`, `"$HOME/.config/NuGet/NuGet.Config"`,
		`/etc/opt/NuGet/Config/*.[Cc]onfig`, `/etc/opt/NuGet/Config/*/*.[Cc]onfig`)
	if err != nil {
		return Preset{}, err
	}
	var p Preset
	var kept []nugetAdd
	disabled := map[string]bool{}
	own := false
	for _, f := range files {
		c, err := parseNuGet(f.data)
		if err != nil {
			return Preset{}, fmt.Errorf("%s: %w", f.path, err)
		}
		own = own || len(c.Sources.Adds) > 0 || c.Sources.Clear != nil
		for _, d := range c.Disabled {
			disabled[d.Key] = disabled[d.Key] || strings.EqualFold(d.Value, "true")
		}
		for _, s := range c.Sources.Adds {
			if disabled[s.Key] || slices.ContainsFunc(kept, func(k nugetAdd) bool { return k.Key == s.Key }) {
				continue
			}
			var in *Inject
			if _, err := c.credential(s.Key); err == nil {
				in = injectConfig("nuget", s.Key, f.path, schemeBasic)
			} else if !errors.Is(err, errNoCredential) {
				p.note("%s: source %s: %v; its credential is left out", f.path, clip(s.Key), err)
			}
			clean, ok := p.nugetSource(s.Value, "NuGet.Config "+s.Key, in)
			if ok {
				kept = append(kept, nugetAdd{Key: s.Key, Value: clean, Protocol: s.Protocol})
			}
		}
		if c.Sources.Clear != nil {
			break // what stands behind it does not count
		}
	}
	if !own {
		clean, ok := p.nugetSource(nugetDefault, "NuGet's default", nil)
		if !ok {
			return Preset{}, errors.New("bug: NuGet's default source")
		}
		kept = append(kept, nugetAdd{Key: "nuget.org", Value: clean, Protocol: "3"})
	}
	if len(p.Rules) == 0 {
		return Preset{}, errors.New("NuGet.Config names no source that can be reached by http or https")
	}
	if own {
		p.note("NuGet of a job adds its default source to those of the operator; what it asks there is refused unless the source is allowed: a nuget.config with <clear/> in the project keeps it quiet")
	}
	out, err := encodeNuGet(kept)
	if err != nil {
		return Preset{}, err
	}
	p.file(nugetConfigPath, out)
	p.setenv("DOTNET_CLI_TELEMETRY_OPTOUT", "1")
	p.setenv("DOTNET_NOLOGO", "1")
	return p, nil
}

// nugetSource opens a source. Its index leads to more places on the same host; the
// credential goes no further than the folder that the index lies in.
func (p *Preset) nugetSource(raw, origin string, in *Inject) (clean string, ok bool) {
	u, _, err := parseSource(raw, origin)
	if err != nil {
		p.note("%v; left out", err)
		return "", false
	}
	u.User = nil
	clean = u.String()
	base := *u
	if strings.HasSuffix(u.Path, ".json") {
		base.Path = path.Dir(u.Path)
	}
	s := source{url: base.String(), origin: origin, forms: []string{"/**"}, wide: []string{"/**/index.json", "/**.nupkg", "/**.nuspec", "/**.json"}, inject: in, redirects: true}
	if _, err := p.add(s); err != nil {
		p.note("%v; left out", err)
		return "", false
	}
	return clean, true
}

// nugetConfig is the part of NuGet.Config that is about sources.
type nugetConfig struct {
	XMLName xml.Name `xml:"configuration"`
	Sources struct {
		Clear *struct{}  `xml:"clear"`
		Adds  []nugetAdd `xml:"add"`
	} `xml:"packageSources"`
	Disabled    []nugetAdd `xml:"disabledPackageSources>add"`
	Credentials struct {
		Sources []nugetCredentials `xml:",any"`
	} `xml:"packageSourceCredentials"`
}

type nugetAdd struct {
	Key      string `xml:"key,attr"`
	Value    string `xml:"value,attr"`
	Protocol string `xml:"protocolVersion,attr,omitempty"`
}

type nugetCredentials struct {
	XMLName xml.Name
	Adds    []nugetAdd `xml:"add"`
}

func parseNuGet(data []byte) (nugetConfig, error) {
	var c nugetConfig
	if err := xml.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &c); err != nil {
		return nugetConfig{}, errors.New("is no NuGet.Config that NuGet would read")
	}
	return c, nil
}

// credential returns user:password of a source. A space in its name is written
// _x0020_ in the name of an element.
func (c nugetConfig) credential(key string) (string, error) {
	for _, s := range c.Credentials.Sources {
		if strings.ReplaceAll(s.XMLName.Local, "_x0020_", " ") != key {
			continue
		}
		at := map[string]string{}
		for _, a := range s.Adds {
			at[strings.ToLower(a.Key)] = a.Value
		}
		switch {
		case at["cleartextpassword"] != "":
			return at["username"] + ":" + at["cleartextpassword"], nil
		case at["password"] != "":
			return "", errors.New("its password is encrypted for NuGet on Windows alone")
		}
	}
	return "", errNoCredential
}

func encodeNuGet(sources []nugetAdd) ([]byte, error) {
	type config struct {
		XMLName xml.Name   `xml:"configuration"`
		Adds    []nugetAdd `xml:"packageSources>add"`
	}
	out, err := xml.MarshalIndent(config{Adds: sources}, "", "  ")
	return slices.Concat([]byte(xml.Header), out, []byte("\n")), err
}

func nugetCredential(key string, data []byte) (string, error) {
	c, err := parseNuGet(data)
	if err != nil {
		return "", err
	}
	return c.credential(key)
}
