// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"bytes"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// tailSize is how much of a command's output is looked at when it failed.
const tailSize = 8 << 10

// tail remembers the end of what is written through it. Both streams write to
// the same one: the lines before the end are those that matter.
type tail struct {
	mu  sync.Mutex
	buf []byte
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
	w.t.buf = append(w.t.buf, b[max(0, len(b)-tailSize):]...)
	if over := len(w.t.buf) - tailSize; over > 0 {
		w.t.buf = append(w.t.buf[:0], w.t.buf[over:]...)
	}
	w.t.mu.Unlock()
	return w.w.Write(b)
}

// deniedFile finds the first file that the command's own words say it was
// refused, and the rule of ours that did. The kernel reports no refused file to
// a supervisor, so this is a claim of the command: it is marked as one, and only
// a path that a rule of ours covers is named.
func (t *tail) deniedFile(ws workspace, p Policy) (ReportDenial, bool) {
	t.mu.Lock()
	text := bytes.Clone(t.buf)
	t.mu.Unlock()
	for line := range bytes.Lines(text) {
		name, errno := refusedPath(strings.TrimSpace(string(line)))
		if name == "" {
			continue
		}
		if !path.IsAbs(name) {
			name = path.Join(ws.dir, name)
		}
		if d, ok := ruleOf(path.Clean(name), ws, p); ok {
			d.Errno, d.Count, d.Claimed = errno, 1, true
			return d, true
		}
	}
	return ReportDenial{}, false
}

// refusedPath reads a line in which a common tool says that it may not touch a
// file: coreutils and shells, Go, Node, Python, git.
func refusedPath(line string) (name, errno string) {
	lower := strings.ToLower(line)
	switch {
	case strings.Contains(lower, "read-only file system"), strings.Contains(line, "EROFS"):
		errno = "EROFS"
	case strings.Contains(lower, "permission denied"), strings.Contains(line, "EACCES"):
		errno = "EACCES"
	default:
		return "", ""
	}
	for _, form := range []string{
		`(?:EACCES|EROFS): [^,]*, \w+ '([^']+)'`,                            // node
		`\[Errno (?:13|30)\] [^:]+: '([^']+)'`,                              // Python
		`['‘"]([^'’"]+)['’"]: (?i:permission denied|read-only file system)`, // coreutils
		`([^\s:'"]+): (?i:permission denied|read-only file system)`,         // Go, shells
		`(?i:could not (?:create|open|lock)[^']*) '([^']+)'`,                // git
	} {
		if m := regexp.MustCompile(form).FindStringSubmatch(line); m != nil {
			return m[1], errno
		}
	}
	return "", ""
}

// ruleOf says which rule of ours refuses writes to a path, and the flag that
// would allow it.
func ruleOf(name string, ws workspace, p Policy) (ReportDenial, bool) {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(name) > 4096 {
		return ReportDenial{}, false
	}
	if ws.git != "" && below(ws.git, name) && !writes(ws.top, p.Write, ws.git) {
		return ReportDenial{Path: name, Rule: ".git of the workspace is read-only", Fix: "--write .git"}, true
	}
	if below(ws.top, name) {
		return ReportDenial{}, false // the job's own: its mode says no, not we
	}
	for _, m := range p.Mounts {
		switch {
		case !below(m.Target, name):
		case m.Write:
			return ReportDenial{}, false
		default:
			return ReportDenial{Path: name, Rule: "mounted read-only", Fix: "--mount " + m.Source + ":" + m.Target + ":rw"}, true
		}
	}
	for _, own := range []string{jobHome, "/tmp", "/var/tmp", "/dev", "/proc"} {
		if below(own, name) {
			return ReportDenial{}, false
		}
	}
	d := ReportDenial{Path: name, Rule: "the root file system is read-only"}
	// Nobody should be told to open the system's own directories.
	if !systemPath(name) {
		dir := filepath.Dir(name)
		d.Fix = "--mount " + dir + ":" + dir + ":rw"
	}
	return d, true
}

func systemPath(name string) bool {
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/sys", "/boot", "/root", "/var", "/run", "/opt", "/nix"} {
		if below(dir, name) {
			return true
		}
	}
	return filepath.Dir(name) == "/"
}
