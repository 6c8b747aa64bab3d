// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A repository's policy is read as it lies there, or the start ends: nothing that its
// author can make of the file leaves it unread.
func TestRepositoryPolicyFile(t *testing.T) {
	const good = "version: 1\negress: {allow: [a.test]}\n"
	for _, tt := range []struct {
		name string
		make func(file string) error
		want string // of the error; empty: it is read
	}{
		{"a file", saying(good), ""},
		{"empty", saying(""), "the policy file is empty"},
		{"a link to a good one beside it", func(file string) error {
			return errors.Join(saying(good)(filepath.Join(filepath.Dir(file), "good")), os.Symlink("good", file))
		}, "symbolic link"},
		{"a link to nothing", func(file string) error { return os.Symlink("absent", file) }, "symbolic link"},
		{"a folder", func(file string) error { return os.Mkdir(file, 0o755) }, "not a regular file"},
		{"a pipe", func(file string) error { return syscall.Mkfifo(file, 0o644) }, "not a regular file"},
		{"endless", func(file string) error {
			return errors.Join(saying(good)(file), os.Truncate(file, 1<<40))
		}, "larger than 1024 KiB"},
		{"a wider one", saying("version: 1\negress: {limits: {events: 1}}\n"), "egress.limits.events"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top, err := filepath.EvalSymlinks(t.TempDir())
			check(t, err)
			file := filepath.Join(top, RepositoryPolicyName)
			check(t, tt.make(file))
			p, err := workspace{top: top}.policy("")
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), file+":") {
					t.Fatalf("got %v, %v; want …%s…", p, err, tt.want)
				}
				return
			}
			if err != nil || p == nil || len(p.Policy.Egress.Rules) != 1 {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

func TestRepositoryPolicyThatIsNone(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	if p, err := (workspace{top: top}).policy(""); p != nil || err != nil {
		t.Errorf("without a file: %+v, %v", p, err)
	}
	file := filepath.Join(top, RepositoryPolicyName)
	check(t, saying("version: 1\nprofile: ci\n")(file))
	if p, err := (workspace{top: top}).policy(file); p != nil || err != nil {
		t.Errorf("the operator's own: %+v, %v", p, err)
	}
	if _, ok, err := RepositoryPolicy(Config{StateDir: "/state", Home: top}, top, ""); ok || err != nil {
		t.Errorf("in a folder that can be no workspace: %v, %v", ok, err)
	}
}

// saying returns what writes a file with a text.
func saying(text string) func(file string) error {
	return func(file string) error { return os.WriteFile(file, []byte(text), 0o600) }
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
