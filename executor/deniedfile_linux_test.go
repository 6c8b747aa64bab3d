// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// grant adds what a proposed flag grants, as the command line would.
func grant(t *testing.T, p executor.Policy, flag string) executor.Policy {
	t.Helper()
	name, value, _ := strings.Cut(flag, " ")
	switch name {
	case "--write":
		p.Write = append(slices.Clone(p.Write), value)
	case "--mount":
		parts := strings.Split(value, ":")
		p.Mounts = slices.DeleteFunc(slices.Clone(p.Mounts), func(m sandbox.Mount) bool { return m.Target == parts[1] })
		p.Mounts = append(p.Mounts, sandbox.Mount{Source: parts[0], Target: parts[1], Write: len(parts) == 3 && parts[2] == "rw"})
	default:
		t.Fatalf("flag %q", flag)
	}
	return p
}

// TestDeniedFileFlagWorks runs real commands, reads the flag that the report
// proposes, and runs them again with it.
func TestDeniedFileFlagWorks(t *testing.T) {
	for _, tool := range []string{"git", "python3", "tar"} {
		testenv.NeedTool(t, tool)
	}
	tests := []struct{ name, tool, script, path string }{
		{"cat", "", "cat OUT/file", "OUT/file"},
		{"cp", "", "cp file OUT/new", "OUT/new"},
		{"shell", "", "echo x >/data/x", "/data/x"},
		{"shell, not shown", "", "echo x >OUT/new", "OUT/new"},
		{"mkdir", "", "mkdir /data/d", "/data/d"},
		{"tar", "", "tar cf /data/x.tar file", "/data/x.tar"},
		{"touch .git", "", "touch .git/x", "WORK/.git/x"},
		{"git commit", "", "git add file", "WORK/.git/index.lock"},
		{"git init", "", "git init -q /data/repo", "/data/repo"},
		{"python", "", `python3 -c 'open("/data/y", "w")'`, "/data/y"},
		{"python, not shown", "", `python3 -c 'open("OUT/file")'`, "OUT/file"},
		{"node", "node", `node -e 'require("fs").writeFileSync("/data/z", "")'`, "/data/z"},
		{"npm", "npm", "npm pack --pack-destination /data", "/data/a-1.0.0.tgz"},
		{"long before the end", "", "echo x >/data/x && exit; seq 100000; exit 1", "/data/x"},
	}
	for _, profile := range []string{"ci", "hostile"} {
		for _, tt := range tests {
			t.Run(profile+"/"+tt.name, func(t *testing.T) {
				b := newBench(t)
				if tt.tool != "" {
					testenv.NeedTool(t, tt.tool)
				}
				out, data := t.TempDir(), t.TempDir()
				b.write(t, "file", "x")
				b.write(t, "package.json", `{"name": "a", "version": "1.0.0"}`)
				if msg, err := exec.Command("git", "init", "-q", b.work).CombinedOutput(); err != nil {
					t.Fatalf("%v %s", err, msg)
				}
				if err := os.WriteFile(filepath.Join(out, "file"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
				names := strings.NewReplacer("OUT", out, "WORK", b.work)
				p := executor.Policy{NoNetwork: true, Profile: profile, Mounts: []sandbox.Mount{{Source: data, Target: "/data"}}}
				text, report, err := b.run(t, executor.Request{Policy: p}, names.Replace(tt.script))
				i := slices.IndexFunc(report.Denials, func(d executor.ReportDenial) bool { return d.Path != "" })
				if err != nil || report.ExitCode == 0 || i < 0 {
					t.Fatalf("got %v %d %+v\n%.2000s", err, report.ExitCode, report.Denials, text)
				}
				d := report.Denials[i]
				if d.Path != names.Replace(tt.path) {
					t.Errorf("named %s, want %s\n%.2000s", d.Path, names.Replace(tt.path), text)
				}
				text, report, err = b.run(t, executor.Request{Policy: grant(t, p, d.Fix)}, names.Replace(tt.script))
				if err != nil || report.ExitCode != 0 {
					t.Errorf("with %s: %v %d\n%.2000s", d.Fix, err, report.ExitCode, text)
				}
			})
		}
	}
}
