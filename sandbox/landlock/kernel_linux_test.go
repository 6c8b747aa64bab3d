// SPDX-License-Identifier: Apache-2.0

package landlock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func needLandlock(t testing.TB, abi int) int {
	t.Helper()
	found, err := ABI()
	if err == nil && found >= abi {
		return found
	}
	reason := fmt.Sprintf("Landlock ABI %d found, %d needed (%v)", found, abi, err)
	if os.Getenv("ZVIZ_TEST_REQUIRE") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
	return 0
}

// tree makes the directories that the rules speak of.
func tree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"none", "read", "exec", "write", "full", "full2", "top", "top/inner"} {
		if err := os.MkdirAll(filepath.Join(dir, d, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"f", "g", "h"} {
			if err := os.WriteFile(filepath.Join(dir, d, f), []byte("not a program"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// rights are the rules of most tests, by path below the tree.
func rights() map[string]Right {
	return map[string]Right{
		"read":      Read,
		"exec":      Read | Execute,
		"write":     Read | Write,
		"full":      Read | Write | Make,
		"full2":     Read | Write | Make,
		"top":       Read,
		"top/inner": Write | Make, // adds to what top gives
		"none/g":    Read | Make,  // a file: the right to make is dropped
		"none/h":    Make,         // nothing is left
		"/dev/zero": Read | Ioctl,
		"/dev/full": Read,
	}
}

func rules(t testing.TB, dir string, rights map[string]Right) []Rule {
	t.Helper()
	var out []Rule
	for path, right := range rights {
		fd, isDir := openPath(t, dir, path)
		out = append(out, Rule{FD: fd, Dir: isDir, Right: right})
	}
	return out
}

func openPath(t testing.TB, dir, path string) (fd int, isDir bool) {
	t.Helper()
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return fd, st.Mode&unix.S_IFMT == unix.S_IFDIR
}

func create(t testing.TB, abi int, scoped bool, rules []Rule) int {
	t.Helper()
	set, err := Create(abi, scoped, rules)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(set) })
	flags, err := unix.FcntlInt(uintptr(set), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("ruleset flags %#x, %v: not closed on exec", flags, err)
	}
	return set
}

type expect struct {
	call string
	want syscall.Errno
}

func expected() []expect {
	return []expect{
		{"read none/f", unix.EACCES},
		{"list none", unix.EACCES},
		{"read none/g", 0},
		{"write none/g", unix.EACCES},
		{"read none/h", unix.EACCES},
		{"unlink none/g", unix.EACCES},

		{"read read/f", 0},
		{"list read", 0},
		{"write read/f", unix.EACCES},
		{"truncate read/f", unix.EACCES},
		{"create read/new", unix.EACCES},
		{"exec read/f", unix.EACCES},
		{"unlink read/f", unix.EACCES},

		{"exec exec/f", unix.ENOEXEC},
		{"write exec/f", unix.EACCES},

		{"write write/f", 0},
		{"truncate write/f", 0},
		{"create write/new", unix.EACCES},
		{"mkdir write/dir", unix.EACCES},
		{"symlink f write/link", unix.EACCES},
		{"rename write/f write/moved", unix.EACCES},

		{"create full/new", 0},
		{"mkdir full/dir", 0},
		{"rmdir full/dir", 0},
		{"symlink f full/link", 0},
		{"socket full/socket", 0},
		{"fifo full/fifo", 0},
		{"device full/device", unix.EACCES},
		{"rename full/f full/sub/moved", 0},
		{"rename full/g full2/moved", 0},
		{"link full/h full2/linked", 0},
		{"link full/h write/linked", unix.EACCES},
		{"rename full/h read/moved", unix.EACCES},
		{"rename read/f full/moved", unix.EACCES},
		{"unlink full/link", 0},
		{"exec full2/f", unix.EACCES},

		{"read top/inner/f", 0},
		{"write top/inner/f", 0},
		{"write top/f", unix.EACCES},
		{"create top/inner/new", 0},
		{"create top/new", unix.EACCES},

		{"read /etc/passwd", unix.EACCES},
		{"ioctl /dev/zero", unix.ENOTTY},
		{"ioctl /dev/full", unix.EACCES},
	}
}

func calls(e []expect) (all []string) {
	for _, c := range e {
		all = append(all, c.call)
	}
	return all
}

func TestRulesAct(t *testing.T) {
	abi := needLandlock(t, 5)
	dir := tree(t)
	got := runVictim(t, victimJob{Dir: dir, Calls: calls(expected())}, create(t, abi, false, rules(t, dir, rights())))
	for _, c := range expected() {
		if got[c.call] != c.want {
			t.Errorf("%s: %v, want %v", c.call, got[c.call], c.want)
		}
	}
}

// TestOracle lets go-landlock restrict a victim by the same rights.
func TestOracle(t *testing.T) {
	abi := needLandlock(t, 5)
	ours, theirs := tree(t), tree(t)
	list := calls(expected())
	dirs := map[string]bool{}
	for path := range rights() {
		_, dirs[path] = openPath(t, theirs, path)
	}
	got := runVictim(t, victimJob{Dir: ours, Calls: list}, create(t, abi, false, rules(t, ours, rights())))
	want := runVictim(t, victimJob{Dir: theirs, Calls: list, Oracle: rights(), Dirs: dirs}, -1)
	for _, c := range list {
		if got[c] != want[c] {
			t.Errorf("%s: %v, under go-landlock %v", c, got[c], want[c])
		}
	}
}

// TestOlderABI makes the ruleset that an older kernel would get: what Ungoverned
// names really is not governed, and the rest is.
func TestOlderABI(t *testing.T) {
	kernel := needLandlock(t, MinABI)
	for abi := MinABI; abi <= kernel; abi++ {
		dir := tree(t)
		set := create(t, abi, false, rules(t, dir, rights()))
		got := runVictim(t, victimJob{Dir: dir, Calls: []string{"truncate read/f", "ioctl /dev/full", "write read/f", "rename full/g full2/moved"}}, set)
		want := map[string]syscall.Errno{"truncate read/f": unix.EACCES, "ioctl /dev/full": unix.EACCES, "write read/f": unix.EACCES, "rename full/g full2/moved": 0}
		if slices.Contains(Ungoverned(abi), "truncate") {
			want["truncate read/f"] = 0
		}
		if slices.Contains(Ungoverned(abi), "ioctl") {
			want["ioctl /dev/full"] = unix.ENOTTY
		}
		for call, errno := range want {
			if got[call] != errno {
				t.Errorf("ABI %d: %s: %v, want %v", abi, call, got[call], errno)
			}
		}
	}
}

// TestLateRule is a rule that the child adds by itself, for a mount of its own.
func TestLateRule(t *testing.T) {
	abi := needLandlock(t, MinABI)
	dir := tree(t)
	set := create(t, abi, false, rules(t, dir, map[string]Right{"read": Read}))
	got := runVictim(t, victimJob{
		Dir: dir, Calls: []string{"write full/f", "create full/new", "read full/f"},
		Late: "full", LateRight: Write | Make, LateABI: abi,
	}, set)
	for call, want := range map[string]syscall.Errno{"write full/f": 0, "create full/new": 0, "read full/f": unix.EACCES} {
		if got[call] != want {
			t.Errorf("%s: %v, want %v", call, got[call], want)
		}
	}
}

func TestScopes(t *testing.T) {
	abi := needLandlock(t, ScopeABI)
	name := fmt.Sprintf("@zviz-landlock-test-%d", os.Getpid())
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	list := []string{"abstract " + name, "signal " + strconv.Itoa(os.Getpid())}
	for _, scoped := range []bool{false, true} {
		got := runVictim(t, victimJob{Dir: t.TempDir(), Calls: list}, create(t, abi, scoped, nil))
		want := syscall.Errno(0)
		if scoped {
			want = unix.EPERM
		}
		for _, c := range list {
			if got[c] != want {
				t.Errorf("scoped %v: %s: %v, want %v", scoped, c, got[c], want)
			}
		}
	}
}

func TestCreateFails(t *testing.T) {
	abi := needLandlock(t, MinABI)
	for _, c := range []struct {
		abi    int
		scoped bool
		want   ABIError
	}{{0, false, ABIError{0, 2}}, {1, false, ABIError{1, 2}}, {1, true, ABIError{1, 2}}, {5, true, ABIError{5, 6}}} {
		fd, err := Create(c.abi, c.scoped, nil)
		e, ok := errors.AsType[*ABIError](err)
		if !ok || *e != c.want || fd != -1 {
			t.Errorf("Create(%d, %v) = %d, %v, want %v", c.abi, c.scoped, fd, err, &c.want)
		}
	}
	before := openFiles(t)
	_, err := Create(abi, false, []Rule{{FD: 1 << 20, Dir: true, Right: Read}})
	if !errors.Is(err, unix.EBADF) || !strings.Contains(err.Error(), "rule 0 (descriptor 1048576, read)") {
		t.Errorf("Create with a bad descriptor: %v", err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors before, %d after a failure", before, after)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return len(names)
}

func BenchmarkCreate(b *testing.B) {
	abi := needLandlock(b, MinABI)
	dir := tree(b)
	r := rules(b, dir, rights())
	for b.Loop() {
		set, err := Create(abi, false, r)
		if err != nil {
			b.Fatal(err)
		}
		unix.Close(set)
	}
}
