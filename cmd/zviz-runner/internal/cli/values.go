// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/internal/mask"
	"github.com/zviz/run/internal/spell"
	"github.com/zviz/run/sandbox"
)

// usageError is an error about one value that knows what to do instead.
type usageError struct{ what, hint string }

func (e usageError) Error() string { return e.what }
func (e usageError) Hint() string  { return e.hint }

// splitList splits the values of a repeatable flag at commas.
func splitList(values []string) []string {
	var items []string
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
	}
	return items
}

// parseAllow sorts items of --allow into presets and hosts.
func parseAllow(items []string, origin string) (presets []string, rules []egress.Rule, err error) {
	for _, item := range items {
		if egress.IsPreset(item) {
			if !slices.Contains(presets, item) {
				presets = append(presets, item)
			}
			continue
		}
		r, err := egress.ParseRule(item)
		if err != nil {
			return nil, nil, err
		}
		r.Origin = origin
		rules = append(rules, r)
	}
	return presets, rules, nil
}

// meantPreset returns the preset that a host without a dot is a slip of.
func meantPreset(host string) (string, bool) {
	if strings.Contains(host, ".") || host == "localhost" {
		return "", false
	}
	return spell.Nearest(host, egress.Presets())
}

func parseLayers(items []string) ([]sandbox.Layer, error) {
	var layers []sandbox.Layer
	for _, item := range items {
		ls, err := sandbox.ParseLayer(item)
		if err != nil {
			names := optionalLayers()
			hint := "one of: " + strings.Join(names, ", ")
			if n, ok := spell.Nearest(item, names); ok {
				hint = "--allow-missing " + n
			}
			return nil, usageError{err.Error(), hint}
		}
		for _, l := range ls {
			if !slices.Contains(layers, l) {
				layers = append(layers, l)
			}
		}
	}
	return layers, nil
}

// optionalLayers returns the values of --allow-missing.
func optionalLayers() []string {
	var names []string
	for _, l := range sandbox.Layers() {
		if !l.Required() {
			names = append(names, string(l))
		}
	}
	return names
}

// parseMount reads SRC:DST[:ro|rw]. SRC must not be a link: in a workspace it
// may have been made by whoever wrote the code.
func parseMount(s string) (sandbox.Mount, error) {
	const want = "--mount SRC:DST for reading, SRC:DST:rw for writing"
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return sandbox.Mount{}, usageError{"want SRC:DST or SRC:DST:rw", want}
	}
	m := sandbox.Mount{Target: parts[1]}
	if len(parts) == 3 {
		switch parts[2] {
		case "rw":
			m.Write = true
		case "ro":
		default:
			return sandbox.Mount{}, usageError{fmt.Sprintf("%q is neither rw nor ro", parts[2]), want}
		}
	}
	if !filepath.IsAbs(m.Target) {
		return sandbox.Mount{}, usageError{"the path inside must be absolute", want}
	}
	if c := filepath.Clean(m.Target); c != m.Target {
		return sandbox.Mount{}, usageError{"the path inside must be plain", "--mount " + quoteShell(parts[0]+":"+c)}
	}
	for _, kept := range []string{"/proc", "/sys", "/dev"} {
		if m.Target == "/" || m.Target == kept || strings.HasPrefix(m.Target, kept+"/") {
			return sandbox.Mount{}, usageError{m.Target + " belongs to the sandbox", "choose another path inside"}
		}
	}
	src, err := realPath(parts[0])
	if err != nil {
		return sandbox.Mount{}, err
	}
	m.Source = src
	return m, nil
}

// realPath returns the path without links on the way; the last name itself must
// be there and must not be a link.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	fi, err := os.Lstat(abs)
	if err != nil {
		return "", cause(err)
	}
	if fi.Mode()&os.ModeSymlink != 0 {
		target, err := filepath.EvalSymlinks(abs)
		if err != nil {
			return "", usageError{"is a symbolic link that leads nowhere", ""}
		}
		return "", usageError{"is a symbolic link", "name what it points to: " + quoteShell(target)}
	}
	return filepath.EvalSymlinks(abs)
}

// cause strips the operation and the path of an error: the text around it has
// named them.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// checkEnvName refuses names that execve would pass on but no shell can read.
func checkEnvName(name string) error {
	if name == "" {
		return errors.New("the name is empty")
	}
	if i := strings.IndexAny(name, "= \t\n\x00"); i >= 0 {
		return fmt.Errorf("%q cannot be in a variable's name", name[i])
	}
	return nil
}

// parseEnv reads KEY=VALUE, or KEY for the value in our own environment; a KEY
// that is not set there stays unset, as with docker.
func parseEnv(s string, lookup func(string) (string, bool)) (kv string, ok bool, err error) {
	key, value, given := strings.Cut(s, "=")
	if err := checkEnvName(key); err != nil {
		return "", false, err
	}
	if !given {
		if value, ok = lookup(key); !ok {
			return "", false, nil
		}
	}
	if strings.Contains(value, "\x00") {
		return "", false, fmt.Errorf("the value of %s holds a NUL byte", key)
	}
	return key + "=" + value, true, nil
}

// shortSecret says that a secret is too short to be hidden; empty if it is not.
func shortSecret(name, value string) string {
	if value == "" || len(value) >= mask.Shortest {
		return ""
	}
	return fmt.Sprintf("the secret %s has fewer than %d bytes and is not hidden in the output", name, mask.Shortest)
}

// maxFile bounds the files that are read whole.
const maxFile = 1 << 20

// readEnvFile reads lines KEY=VALUE or KEY; "#" begins a comment line. There
// are no quotes: the value is what stands behind "=".
func readEnvFile(name string, lookup func(string) (string, bool)) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, cause(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cause(err)
	}
	if len(data) > maxFile {
		return nil, errors.New("is larger than 1 MiB")
	}
	var env []string
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if t := strings.TrimSpace(line); t == "" || t[0] == '#' {
			continue
		}
		kv, ok, err := parseEnv(strings.TrimLeft(line, " \t"), lookup)
		if err != nil {
			// The line is not quoted: it may hold a secret.
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if ok {
			env = append(env, kv)
		}
	}
	return env, nil
}

// quoteShell quotes an argument for a POSIX shell.
func quoteShell(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=@%+", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func quoteCommand(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = quoteShell(a)
	}
	return strings.Join(quoted, " ")
}
