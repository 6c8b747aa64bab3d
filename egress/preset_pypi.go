// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// pipDefault asks pip for what it is built with: the index, and the host that
// the index's pages link to for files.
const pipDefault = "from pip._internal.models.index import PyPI; print(PyPI.simple_url, PyPI.file_storage_domain)"

// uvIndexes prints what uv is told by environment, a variable a line.
const uvIndexes = `printf '%s\n' "${UV_DEFAULT_INDEX-}" "${UV_INDEX_URL-}" "${UV_INDEX-}" "${UV_EXTRA_INDEX_URL-}"`

// discoverPyPI asks pip, and the environment of uv. Index pages may link to
// another host for files; where pip's configuration names an index, that host is
// its own unless --allow says more.
func discoverPyPI(ctx context.Context, run Runner) (Preset, error) {
	var p Preset
	index, extra, err := p.pipIndexes(ctx, run)
	uvIndex, uvExtra := p.uvIndexes(ctx, run)
	if err != nil && uvIndex == "" {
		return Preset{}, err
	}
	if index == "" && uvIndex == "" {
		if index, err = p.pipBuiltin(ctx, run); err != nil {
			return Preset{}, err
		}
	}
	if index == "" {
		index = uvIndex
	}
	if uvIndex == "" {
		uvIndex = index
	}
	for _, v := range []struct{ key, value string }{
		{"PIP_INDEX_URL", index},
		{"PIP_EXTRA_INDEX_URL", strings.Join(extra, " ")},
		{"UV_DEFAULT_INDEX", uvIndex},
		{"UV_INDEX_URL", uvIndex}, // uv before 0.4.23
		{"UV_EXTRA_INDEX_URL", strings.Join(append(uvExtra, extra...), " ")},
		{"PIP_DISABLE_PIP_VERSION_CHECK", "1"},
	} {
		if v.value != "" {
			p.setenv(v.key, v.value)
		}
	}
	return p, nil
}

// pipIndexes reads "section.key='value'" lines; later sections win as in pip:
// global, user, site, then :env: last.
func (p *Preset) pipIndexes(ctx context.Context, run Runner) (index string, extra []string, err error) {
	out, err := run(ctx, []string{"pip", "config", "list"})
	if err != nil {
		return "", nil, fmt.Errorf("pip config list: %w", err)
	}
	config := map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		section, name, dotted := strings.Cut(key, ".")
		if !ok || !dotted || section != "global" && section != "install" && section != "download" && section != ":env:" {
			continue
		}
		value = unquotePython(value)
		// Sections come in alphabetical order, ":env:" first; it is the one that wins.
		if _, have := config[name]; have && section != "install" {
			continue
		}
		if _, env := config[":env:"+name]; env {
			continue
		}
		if section == ":env:" {
			config[":env:"+name] = value
		}
		config[name] = value
	}
	files, err := readConfig(ctx, run, `"$HOME/.config/pip/pip.conf"`, `"$HOME/.pip/pip.conf"`, "/etc/pip.conf", "/etc/xdg/pip/pip.conf")
	if err != nil {
		p.note("credentials of pip: %v; left out", err)
	}
	if u := config["index-url"]; u != "" {
		if index, err = p.pipIndex(u, "pip config index-url", files); err != nil {
			return "", nil, err
		}
	}
	for u := range strings.FieldsSeq(config["extra-index-url"]) {
		if clean, err := p.pipIndex(u, "pip config extra-index-url", files); err != nil {
			p.note("%v; left out", err)
		} else {
			extra = append(extra, clean)
		}
	}
	for u := range strings.FieldsSeq(config["find-links"]) {
		if !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") {
			p.note("pip config find-links names files of this machine; they are not handed to the job")
		} else if _, err := p.add(source{url: u, origin: "pip config find-links", whole: true}); err != nil {
			p.note("%v; left out", err)
		}
	}
	if config["proxy"] != "" {
		p.note("pip is configured for a proxy; the runner reaches it by egress.upstream.proxy")
	}
	return index, extra, nil
}

// pipIndex opens an index. Its files are on any path of the host; a credential goes no
// further than beside the index itself.
func (p *Preset) pipIndex(raw, origin string, files []configFile) (clean string, err error) {
	if in := urlInject(raw, files); in != nil {
		if u, _, err := parseSource(raw, origin); err == nil {
			u.User = nil
			u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/simple")
			if _, err := p.add(source{url: u.String(), origin: origin, forms: []string{"/**"}, inject: in}); err != nil {
				p.note("%v; its credential is left out", err)
			}
			raw = redactURL(raw)
		}
	}
	return p.add(source{url: raw, origin: origin, whole: true, ecosystem: "pypi"})
}

// pipBuiltin asks pip for its own default.
func (p *Preset) pipBuiltin(ctx context.Context, run Runner) (index string, err error) {
	var out []byte
	for _, python := range []string{"python3", "python"} {
		if out, err = run(ctx, []string{python, "-c", pipDefault}); err == nil {
			break
		}
	}
	if err != nil {
		return "", fmt.Errorf("ask pip for its default index: %w", err)
	}
	fields := strings.Fields(string(out))
	if len(fields) != 2 {
		return "", errors.New("pip names no default index; set index-url in its configuration")
	}
	if index, err = p.add(source{url: fields[0], origin: "pip's default", whole: true, ecosystem: "pypi"}); err != nil {
		return "", err
	}
	files := "https://" + fields[1]
	if _, err = p.add(source{url: files, origin: "pip's default", whole: true}); err != nil {
		return "", err
	}
	for i, r := range p.Registries {
		if r.Base == index {
			p.Registries[i].Files = []string{files}
		}
	}
	return index, nil
}

// uvIndexes reads the environment of uv. UV_INDEX items may be "name=url".
func (p *Preset) uvIndexes(ctx context.Context, run Runner) (index string, extra []string) {
	out, err := run(ctx, []string{"sh", "-c", uvIndexes})
	if err != nil {
		return "", nil // no shell, so no uv either
	}
	lines := strings.Split(string(out), "\n")
	for i, line := range lines[:min(len(lines), 4)] {
		for item := range strings.FieldsSeq(line) {
			if _, u, named := strings.Cut(item, "="); named && !strings.Contains(item[:len(item)-len(u)], "/") {
				item = u
			}
			clean, err := p.add(source{url: item, origin: "UV_* of the environment", whole: true, ecosystem: "pypi"})
			switch {
			case err != nil:
				p.note("%v; left out", err)
			case i >= 2:
				extra = append(extra, clean)
			case index == "":
				index = clean
			}
		}
	}
	return index, extra
}

// unquotePython reads what repr() made of a plain text.
func unquotePython(s string) string {
	if len(s) >= 2 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		return strings.ReplaceAll(s[1:len(s)-1], `\n`, "\n")
	}
	return s
}
