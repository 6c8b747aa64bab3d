// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"bytes"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// tailSize is how much of a command's output is looked at when it failed.
const tailSize = 8 << 10

const (
	maxEarly  = 32 // lines that are kept from before the end
	maxDenied = 5  // files that are named
)

// tail remembers the end of what is written through it, and before that the lines
// that speak of a refusal: the first one may be long past when the command ends.
// Both streams write to the same one.
type tail struct {
	mu    sync.Mutex
	buf   []byte
	early [][]byte
}

func (t *tail) through(w io.Writer) io.Writer {
	if w == nil {
		return tailWriter{t, io.Discard}
	}
	return tailWriter{t, w}
}

type tailWriter struct {
	t *tail
	w io.Writer
}

func (w tailWriter) Write(b []byte) (int, error) {
	w.t.mu.Lock()
	w.t.note(b)
	w.t.buf = append(w.t.buf, b[max(0, len(b)-tailSize):]...)
	if over := len(w.t.buf) - tailSize; over > 0 {
		w.t.buf = append(w.t.buf[:0], w.t.buf[over:]...)
	}
	w.t.mu.Unlock()
	return w.w.Write(b)
}

// note keeps lines of b that speak of a refusal. One that is split between two
// writes is found in the end only.
func (t *tail) note(b []byte) {
	if len(t.early) >= maxEarly || !speaks(b) {
		return
	}
	for line := range bytes.Lines(b) {
		if len(t.early) < maxEarly && len(line) <= tailSize && speaks(line) {
			t.early = append(t.early, bytes.Clone(line))
		}
	}
}

func speaks(b []byte) bool {
	for _, words := range [...]string{"ermission denied", "ead-only file system", "EACCES", "EROFS", "o such file or directory", "ENOENT", "irectory nonexistent"} {
		if bytes.Contains(b, []byte(words)) {
			return true
		}
	}
	return false
}

// deniedFiles finds the files that the command's own words say it was refused, and
// the rules of ours that did, first those it may not touch, then those that are
// not there inside but on the host. The kernel reports no refused file to a
// supervisor, so this is a claim of the command: it is marked as one, and only a
// path that a rule of ours covers is named.
func (t *tail) deniedFiles(v view) []ReportDenial {
	t.mu.Lock()
	lines := slices.Clone(t.early)
	for line := range bytes.Lines(bytes.Clone(t.buf)) {
		lines = append(lines, line)
	}
	t.mu.Unlock()
	var refused, absent []ReportDenial
	seen := map[string]bool{}
	for _, line := range lines {
		names, errno := refusedPaths(strings.TrimSpace(string(line)))
		for _, name := range names {
			if !path.IsAbs(name) {
				name = path.Join(v.work.dir, name)
			}
			d, ok := v.ruleOf(path.Clean(name), errno)
			if !ok {
				continue
			}
			if d.Errno, d.Count, d.Claimed = errno, 1, true; seen[d.Path] {
				break
			}
			seen[d.Path] = true
			if errno == "ENOENT" {
				absent = append(absent, d)
			} else {
				refused = append(refused, d)
			}
			break
		}
	}
	all := append(refused, absent...)
	return all[:min(len(all), maxDenied)]
}

// forms are the ways in which common tools say which file they may not touch:
// coreutils and shells, Go, Node, Python, git.
var forms = sync.OnceValue(func() []*regexp.Regexp { //nolint:gochecknoglobals // compiled once
	const says = `(?i:permission denied|read-only file system|no such file or directory|directory nonexistent)`
	var out []*regexp.Regexp
	for _, form := range []string{
		`(?:EACCES|EROFS|ENOENT): [^,]*, \w+ '([^']+)'`,      // node
		` (/\S+) - \w+ \((?:2|13|30): ` + says,               // apt
		`\[Errno (?:2|13|30)\] [^:]+: '([^']+)'`,             // Python
		`['‘"]([^'’"]+)['’"]: ` + says,                       // coreutils
		`(?:^|\s)(/[^:]*): (?:[Cc]annot \w+: )?` + says,      // tar, Go, shells: absolute, maybe with spaces
		`([^\s:'"]+): ` + says,                               // Go, shells
		`(?i:could not (?:create|open|lock)[^']*) '([^']+)'`, // git
		`['‘"\x60](/[^'’"\x60]+)['’"\x60]`,                   // any other quotes
	} {
		out = append(out, regexp.MustCompile(form))
	}
	return out
})

// refusedPaths reads a line in which a tool says that it may not touch a file, and
// returns what may be its name, the likeliest first.
func refusedPaths(line string) (names []string, errno string) {
	lower := strings.ToLower(line)
	switch {
	case strings.Contains(lower, "read-only file system"), strings.Contains(line, "EROFS"):
		errno = "EROFS"
	case strings.Contains(lower, "permission denied"), strings.Contains(line, "EACCES"):
		errno = "EACCES"
	case strings.Contains(lower, "no such file or directory"), strings.Contains(line, "ENOENT"), strings.Contains(lower, "directory nonexistent"):
		errno = "ENOENT"
	default:
		return nil, ""
	}
	for _, form := range forms() {
		if m := form.FindStringSubmatch(line); m != nil {
			names = append(names, m[1])
			if i := strings.LastIndex(m[1], " /"); i >= 0 { // "cannot create /x"
				names = append(names, m[1][i+1:])
			}
		}
	}
	return names, errno
}

// view is what a job sees of the host's files.
type view struct {
	work   workspace
	policy Policy
	shown  []string // what the root shows, read-only
	exists func(string) (there, dir bool)
}

func newView(c *cell, p Policy) view {
	v := view{work: c.work, policy: p, exists: onHost}
	for _, e := range c.spec.Root.Entries {
		v.shown = append(v.shown, e.Target)
	}
	return v
}

func onHost(name string) (there, dir bool) {
	st, err := os.Stat(name)
	return err == nil, err == nil && st.IsDir()
}

// ruleOf says which rule of ours refuses a path, and the flag that would allow it.
func (v view) ruleOf(name, errno string) (ReportDenial, bool) {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(name) > 4096 {
		return ReportDenial{}, false
	}
	ws, p := v.work, v.policy
	absent := errno == "ENOENT"
	if ws.git != "" && below(ws.git, name) && !writes(ws.top, p.Write, ws.git) && !absent {
		return ReportDenial{Path: name, Rule: ".git of the workspace is read-only", Fix: "--write .git"}, true
	}
	if below(ws.top, name) {
		return ReportDenial{}, false // the job's own: its mode says no, not we
	}
	for _, m := range p.Mounts {
		switch {
		case !below(m.Target, name):
		case m.Write, absent:
			return ReportDenial{}, false
		default:
			return ReportDenial{Path: name, Rule: "mounted read-only", Fix: mountFlag(m.Source, m.Target, true)}, true
		}
	}
	if absent {
		return v.notShown(name)
	}
	for _, own := range ownDirs() {
		if below(own, name) {
			return ReportDenial{}, false
		}
	}
	d := ReportDenial{Path: name, Rule: "the root file system is read-only"}
	if p.Rootfs != "" {
		if p.Profile != "root" {
			d.Fix = "--profile root" // a throw-away copy of it
		}
		return d, true
	}
	// Nobody should be told to open the system's own directories, or their tools.
	if _, dir := v.exists(filepath.Dir(name)); dir && !systemPath(name) && !v.isShown(name) {
		d.Fix = mountFlag(filepath.Dir(name), filepath.Dir(name), true)
	}
	return d, true
}

// notShown is about a path that is on the host but not inside. A claim of the
// command may be a wish for a secret: what is hidden, or the system's, is named
// without the flag.
func (v view) notShown(name string) (ReportDenial, bool) {
	if v.policy.Rootfs != "" || v.isShown(name) {
		return ReportDenial{}, false
	}
	d := ReportDenial{Path: name, Rule: "not shown to the sandbox"}
	there, _ := v.exists(name)
	parent := filepath.Dir(name)
	switch _, dir := v.exists(parent); {
	case there && slices.Contains(ownDirs(), name):
		return ReportDenial{}, false
	case there:
	case dir && parent != "/" && !slices.Contains(ownDirs(), parent) && !v.isShown(parent): // to be made
	default:
		return ReportDenial{}, false
	}
	switch {
	case systemPath(name) || strings.Contains(name, "/."):
	case there:
		d.Fix = mountFlag(name, name, false)
	default:
		d.Fix = mountFlag(parent, parent, true)
	}
	return d, true
}

func (v view) isShown(name string) bool {
	return slices.ContainsFunc(v.shown, func(dir string) bool { return below(dir, name) })
}

// ownDirs are the job's own: what is refused there, its modes refuse.
func ownDirs() []string { return []string{jobHome, "/tmp", "/var/tmp", "/dev", "/proc"} }

// mountFlag is made to be pasted into a shell, and the job chose the name: empty
// if a shell would take it for more.
func mountFlag(source, target string, write bool) string {
	for _, s := range []string{source, target} {
		if strings.ContainsFunc(s, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./,=@%+", r)
		}) {
			return ""
		}
	}
	flag := "--mount " + source + ":" + target
	if write {
		flag += ":rw"
	}
	return flag
}

func systemPath(name string) bool {
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/sys", "/boot", "/root", "/var", "/run", "/opt", "/nix"} {
		if below(dir, name) {
			return true
		}
	}
	return filepath.Dir(name) == "/"
}
