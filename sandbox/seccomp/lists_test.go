// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestCounts pins the published counts.
func TestCounts(t *testing.T) {
	l := CI().Lists()
	for _, c := range []struct {
		name string
		list []string
		want int
	}{
		{"core", l.Core, 132},
		{"checked", l.Checked, 24},
		{"denied", l.Denied, 24},
		{"compat", l.Compat, 22},
		{"soft", l.Soft, 12},
		{"SysV IPC", l.SysVIPC, 12},
		{"traced", l.Traced, 4},
	} {
		if len(c.list) != c.want {
			t.Errorf("%s: %d names, want %d", c.name, len(c.list), c.want)
		}
		if !slices.IsSorted(c.list) {
			t.Errorf("%s: not sorted", c.name)
		}
	}
	h := Hostile().Lists()
	if len(h.Compat) != 0 || len(h.Traced) != 0 || len(h.SysVIPC) != 0 || len(h.Core) != 132 {
		t.Errorf("hostile: %d core, %d compat, %d SysV IPC", len(h.Core), len(h.Compat), len(h.SysVIPC))
	}
}

// TestOpened pins what a profile opens beyond ci.
func TestOpened(t *testing.T) {
	allowed := func(p Profile) (names []string) {
		for _, c := range AMD64.calls() {
			if r := p.rule(c.name); r.test == nil && r.end.Action == Allow {
				names = append(names, c.name)
			}
		}
		return names
	}
	ci := allowed(CI())
	for _, c := range []struct {
		profile Profile
		want    string
	}{
		{Debug(), trace},
		{Root(), identity + " " + soft},
	} {
		got := slices.DeleteFunc(allowed(c.profile), func(name string) bool { return slices.Contains(ci, name) })
		slices.Sort(got)
		if want := fields(c.want); !slices.Equal(got, want) {
			t.Errorf("%s opens %v, want %v", c.profile.Name, got, want)
		}
	}
}

// TestNames shows that no name is in two groups, and that each is a call that
// amd64 knows: a misspelt name would silently not be allowed.
func TestNames(t *testing.T) {
	known := map[string]bool{}
	for _, c := range AMD64.calls() {
		known[c.name] = true
	}
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) { checkNames(t, p, known) })
	}
}

func checkNames(t *testing.T, p Profile, known map[string]bool) {
	t.Helper()
	l := p.Lists()
	seen := map[string]bool{"keyctl": true, "io_uring_setup": true, "clone3": true, "splice": true}
	for _, name := range slices.Concat(l.Core, l.Checked, l.Denied, l.Compat, l.Soft, l.SysVIPC, l.Traced, l.Trace, l.ID) {
		if seen[name] {
			t.Errorf("%s is in two groups", name)
		}
		seen[name] = true
		if !known[name] {
			t.Errorf("%s: amd64 has no such call", name)
		}
	}
	for _, name := range l.Checked {
		if r := p.check(name); r.test == nil {
			t.Errorf("%s: no check", name)
		}
	}
}

// TestARM64 pins which names of the lists arm64 lacks: there the program
// library uses a newer call that is in the lists too.
func TestARM64(t *testing.T) {
	known := map[string]bool{}
	for _, c := range ARM64.calls() {
		known[c.name] = true
	}
	l := CI().Lists()
	var missing []string
	for _, name := range slices.Concat(l.Core, l.Checked, l.Denied, l.Compat, l.Soft, l.SysVIPC, l.Traced) {
		if !known[name] {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	want := []string{
		"access", "alarm", "arch_prctl", "chmod", "chown", "creat", "dup2", "epoll_wait", "fork", "getpgrp", "inotify_init",
		"lchown", "link", "lstat", "mkdir", "open", "pause", "pipe", "poll", "readlink", "rename", "rmdir", "select", "stat", "symlink",
		"unlink", "vfork",
	}
	if !slices.Equal(missing, want) {
		t.Errorf("arm64 lacks %v,\nwant %v", missing, want)
	}
}

func TestName(t *testing.T) {
	for _, c := range []struct {
		a    Arch
		nr   uint32
		want string
	}{
		{AMD64, 0, "read"},
		{AMD64, 101, "ptrace"},
		{AMD64, 165, "mount"},
		{AMD64, 334, "rseq"},
		{AMD64, 340, "syscall 340"},
		{AMD64, 425, "io_uring_setup"},
		{AMD64, 435, "clone3"},
		{AMD64, 467, "open_tree_attr"},
		{AMD64, 470, "listns"},
		{AMD64, 1000, "syscall 1000"},
		{AMD64, 0xffffffff, "syscall 4294967295"},
		{ARM64, 63, "read"},
		{ARM64, 79, "newfstatat"},
		{ARM64, 38, "renameat"},
		{ARM64, 117, "ptrace"},
		{ARM64, 425, "io_uring_setup"},
		{ARM64, 101, "nanosleep"},
		{"riscv64", 0, "syscall 0"},
	} {
		if got := Name(c.a, c.nr); got != c.want {
			t.Errorf("Name(%s, %d) = %q, want %q", c.a, c.nr, got, c.want)
		}
	}
}

// TestNumbersAreCurrent runs the generator against the module version in use.
func TestNumbersAreCurrent(t *testing.T) {
	goTool := needTool(t, "go")
	dir := t.TempDir()
	cmd := exec.Command(goTool, "run", "./gen", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"numbers_x86_64.go", "numbers_aarch64.go"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is out of date: go generate ./sandbox/seccomp", name)
		}
	}
}

func TestProfileIsData(t *testing.T) {
	for _, p := range Profiles() {
		got, err := ByName(p.Name)
		if err != nil || got != p {
			t.Errorf("ByName(%q) = %+v, %v", p.Name, got, err)
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Profile
		if err := json.Unmarshal(b, &back); err != nil || back != p {
			t.Errorf("%s became %+v, %v", b, back, err)
		}
	}
	if _, err := ByName("open"); err == nil {
		t.Error("ByName accepts an unknown name")
	}
	if _, err := CI().Compile("riscv64"); err == nil {
		t.Error("Compile accepts an unknown architecture")
	}
}
