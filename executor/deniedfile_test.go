// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/sandbox"
)

func TestDeniedFile(t *testing.T) {
	ws := workspace{top: "/src/app", dir: "/src/app/sub", git: "/src/app/.git"}
	policy := Policy{Mounts: []sandbox.Mount{{Source: "/data", Target: "/data"}, {Source: "/cache", Target: "/cache", Write: true}}}
	v := view{work: ws, policy: policy, shown: []string{"/usr", "/opt/tool"}, exists: func(name string) (bool, bool) {
		switch name {
		case "/srv/out", "/home/u", "/home/u/.ssh", "/srv/$(x)":
			return true, true
		case "/home/u/data.csv", "/home/u/.ssh/id", "/etc/shadow", "/srv/$(x)/y":
			return true, false
		default:
			return false, false
		}
	}}
	const absent = "not shown to the sandbox"
	const git, root = ".git of the workspace is read-only", "the root file system is read-only"
	tests := []struct {
		name, text       string
		path, errno, fix string
		rule             string
	}{
		{"touch", "touch: cannot touch '../.git/x': Read-only file system\n", "/src/app/.git/x", "EROFS", "--write .git", git},
		{"dash", "sh: 1: cannot create /usr/bin/x: Read-only file system\n", "/usr/bin/x", "EROFS", "", root},
		{"bash", "bash: line 1: /srv/out/x: Permission denied\n", "/srv/out/x", "EACCES", "--mount /srv/out:/srv/out:rw", root},
		{"Go", "2026/01/02 open /data/a: read-only file system\n", "/data/a", "EROFS", "--mount /data:/data:rw", "mounted read-only"},
		{"node", "Error: EROFS: read-only file system, open '/usr/lib/x'\n", "/usr/lib/x", "EROFS", "", root},
		{"Python", "OSError: [Errno 30] Read-only file system: '/data/y'\n", "/data/y", "EROFS", "--mount /data:/data:rw", "mounted read-only"},
		{"the first of several", "open /data/a: permission denied\nopen /data/b: permission denied\n", "/data/a", "EACCES", "--mount /data:/data:rw", "mounted read-only"},
		{"the job's own mode", "cat: 'secret': Permission denied\ncat: /cache/x: Permission denied\n", "", "", "", ""},
		{"not there, on the host", "cat: /home/u/data.csv: No such file or directory\n", "/home/u/data.csv", "ENOENT", "--mount /home/u/data.csv:/home/u/data.csv", absent},
		{"not there, to be made", "cp: cannot create regular file '/srv/out/new': No such file or directory\n", "/srv/out/new", "ENOENT", "--mount /srv/out:/srv/out:rw", absent},
		{"not there, a secret", "cat: /home/u/.ssh/id: No such file or directory\n", "/home/u/.ssh/id", "ENOENT", "", absent},
		{"not there, the system's", "cat: /etc/shadow: No such file or directory\n", "/etc/shadow", "ENOENT", "", absent},
		{"not there at all", "cat: /srv/x/y: No such file or directory\n", "", "", "", ""},
		{"not there in the workspace", "cat: ../x: No such file or directory\n", "", "", "", ""},
		{"a name for a shell", "cat: '/srv/$(x)/y': No such file or directory\n", "/srv/$(x)/y", "ENOENT", "", absent},
		{"the operator's tools", "touch: cannot touch '/opt/tool/x': Read-only file system\n", "/opt/tool/x", "EROFS", "", root},
		{"a name with a space", "open /data/a b: permission denied\n", "/data/a b", "EACCES", "--mount /data:/data:rw", "mounted read-only"},
		{"tar", "tar: /data/x.tar: Cannot open: Read-only file system\n", "/data/x.tar", "EROFS", "--mount /data:/data:rw", "mounted read-only"},
		{"refused before not there", "cat: /home/u/data.csv: No such file or directory\nopen /data/a: permission denied\n", "/data/a", "EACCES", "--mount /data:/data:rw", "mounted read-only"},
		{"long ago", "open /data/a: permission denied\n" + strings.Repeat("fine\n", 10_000), "/data/a", "EACCES", "--mount /data:/data:rw", "mounted read-only"},
		{"other words", "everything is fine\n", "", "", "", ""},
		{"a name with an escape", "open /data/\x1b[2J: permission denied\n", "", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var said tail
			if _, err := io.WriteString(said.through(nil), tt.text); err != nil {
				t.Fatal(err)
			}
			got := said.deniedFiles(v)
			var want []ReportDenial
			if tt.path != "" {
				want = []ReportDenial{{Path: tt.path, Errno: tt.errno, Count: 1, Rule: tt.rule, Fix: tt.fix, Claimed: true}}
				got = got[:min(len(got), 1)]
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// The tail keeps the end, whatever the sizes of the writes.
func TestTail(t *testing.T) {
	var said tail
	w := said.through(nil)
	for range 100 {
		if _, err := w.Write(make([]byte, 3000)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	if n := len(said.buf); n != tailSize || string(said.buf[n-3:]) != "end" {
		t.Errorf("%d bytes", n)
	}
}
