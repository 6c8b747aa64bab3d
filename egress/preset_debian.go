// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

const (
	aptFilesMost = 128
	aptBytesMost = 2 << 20
)

// discoverDebian asks apt, which understands both forms of its sources, options
// and mirror lists.
func discoverDebian(ctx context.Context, run Runner) (Preset, error) {
	out, err := run(ctx, []string{"apt-get", "indextargets", "--format", "$(REPO_URI)"})
	if err != nil {
		return Preset{}, fmt.Errorf("apt-get indextargets: %w", err)
	}
	var p Preset
	for line := range strings.Lines(string(out)) {
		u := strings.TrimSpace(line)
		if mirror, ok := strings.CutPrefix(u, "mirror+"); ok {
			p.note("apt reads a list of mirrors; name the mirrors themselves with --allow")
			u = mirror
		}
		switch scheme, _, _ := strings.Cut(u, ":"); scheme {
		case "":
			continue
		case "file", "copy", "cdrom":
			p.note("an apt source of this machine's own files is left out")
			continue
		}
		if _, err := p.add(source{url: u, origin: "apt sources", ecosystem: "debian"}); err != nil {
			p.note("%v; left out", err)
		}
	}
	if len(p.Rules) == 0 {
		return Preset{}, errors.New("apt has no source that can be reached by http or https")
	}
	if err := p.aptFiles(ctx, run); err != nil {
		p.note("apt sources are not handed to the job: %v", err)
	}
	if out, err := run(ctx, []string{"apt-config", "dump", "--format", "%f %v%n", "Acquire::http::Proxy", "Acquire::https::Proxy"}); err == nil && strings.Contains(string(out), "://") {
		p.note("apt is configured for a proxy; the runner reaches it by egress.upstream.proxy")
	}
	return p, nil
}

// aptFiles hands in the sources and the public keys that they are signed with.
// The files keep what a list of URLs would lose: suites, options, signed-by.
func (p *Preset) aptFiles(ctx context.Context, run Runner) error {
	const find = "find -L /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d /etc/apt/keyrings -maxdepth 1 -type f 2>/dev/null; true"
	out, err := run(ctx, []string{"sh", "-c", find})
	if err != nil {
		return err
	}
	files, size := 0, 0
	for line := range strings.Lines(string(out)) {
		name := strings.TrimSpace(line)
		source := name == "/etc/apt/sources.list" || strings.HasSuffix(name, ".list") || strings.HasSuffix(name, ".sources")
		key := name == "/etc/apt/trusted.gpg" || strings.HasSuffix(name, ".gpg") || strings.HasSuffix(name, ".asc")
		if path.Clean(name) != name || !strings.HasPrefix(name, "/etc/apt/") || !source && !key {
			continue
		}
		content, err := run(ctx, []string{"cat", name})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if files, size = files+1, size+len(content); files > aptFilesMost || size > aptBytesMost {
			return fmt.Errorf("more than %d files or %d bytes in /etc/apt", aptFilesMost, aptBytesMost)
		}
		if source {
			content = withoutUsers(content)
		}
		p.file(name, content)
	}
	return nil
}

// withoutUsers takes user and password out of every URL of a text.
func withoutUsers(b []byte) []byte {
	return regexp.MustCompile(`(://)[^/\s]*@`).ReplaceAll(b, []byte("$1"))
}
