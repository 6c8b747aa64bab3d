// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/sandbox"
)

func TestDeniedFile(t *testing.T) {
	ws := workspace{top: "/src/app", dir: "/src/app/sub", git: "/src/app/.git"}
	policy := Policy{Mounts: []sandbox.Mount{{Source: "/data", Target: "/data"}, {Source: "/cache", Target: "/cache", Write: true}}}
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
		{"other words", "everything is fine\n", "", "", "", ""},
		{"a name with an escape", "open /data/\x1b[2J: permission denied\n", "", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var said tail
			if _, err := io.WriteString(said.through(nil), tt.text); err != nil {
				t.Fatal(err)
			}
			got, ok := said.deniedFile(ws, policy)
			if ok != (tt.path != "") {
				t.Fatalf("got %+v", got)
			}
			want := ReportDenial{}
			if ok {
				want = ReportDenial{Path: tt.path, Errno: tt.errno, Count: 1, Rule: tt.rule, Fix: tt.fix, Claimed: true}
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
