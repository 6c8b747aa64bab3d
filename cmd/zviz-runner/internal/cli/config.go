// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/spell"
	"github.com/zviz/run/sandbox"
)

// A value comes from its flag, else from its ZVIZ_* variable, else from the
// policy file, else it is built in.

// variables returns the flags that have a variable. Those that belong to one
// call, such as -e or --report, have none.
func variables() []string {
	return []string{
		"allow", "allow-missing", "color", "cpus", "egress", "memory", "no-canaries", "no-network", "no-repo-policy",
		"pids", "policy", "profile", "progress", "rootfs", "strict-egress", "timeout",
	}
}

func variable(flag string) string {
	return "ZVIZ_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applyVariables sets the flags that were not given from their variables and
// returns where each value that is set was written, for error messages.
func (a app) applyVariables(fl *pflag.FlagSet) (origin map[string]string, err error) {
	origin = map[string]string{}
	fl.Visit(func(f *pflag.Flag) { origin[f.Name] = "--" + f.Name })
	for _, name := range variables() {
		v := a.getenv(variable(name))
		if v == "" || origin[name] != "" || fl.Lookup(name) == nil {
			continue
		}
		if err := fl.Set(name, v); err != nil {
			// pflag names the flag around the error; the variable is what was written.
			inner := err
			if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
				inner = e.Unwrap()
			}
			return nil, argument(variable(name), v, yesOrNo(inner))
		}
		origin[name] = variable(name)
	}
	return origin, nil
}

// yesOrNo puts words of ours in the place of those of package strconv, which reads the
// flags that are on or off.
func yesOrNo(err error) error {
	if errors.Is(err, strconv.ErrSyntax) {
		return usageError{what: "want true or false"}
	}
	return err
}

// argument describes a bad value of a flag or a variable.
func argument(where, value string, err error) failure {
	f := failure{Code: "usage.argument", What: badValue(where, value, err), Exit: exitUsage, err: err}
	if h, ok := find[hinter](err); ok {
		f.Fix = h.Hint()
	}
	return f
}

// choice is a flag that takes one of a few words.
type choice struct {
	value   *string
	allowed []string
}

func (c choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}
func (c choice) Type() string { return strings.Join(c.allowed, "|") }

func (c choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		e := usageError{what: "want " + strings.Join(c.allowed, ", ")}
		if n, ok := spell.Nearest(s, c.allowed); ok {
			e.what += fmt.Sprintf("; did you mean %q?", n)
		}
		return e
	}
	*c.value = s
	return nil
}

// count is a flag that takes a number of 1 or more.
type count struct{ value *int }

func (c count) String() string {
	if c.value == nil || *c.value == 0 {
		return ""
	}
	return strconv.Itoa(*c.value)
}
func (c count) Type() string { return "N" }

func (c count) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return usageError{what: "want a number of 1 or more"}
	}
	*c.value = n
	return nil
}

// home returns the operator's home directory, from the user database if HOME is
// not set (cron, systemd): the folder is protected either way. It is empty if the
// user is in no database either.
func (a app) home() string {
	if h := a.getenv("HOME"); filepath.IsAbs(h) {
		return filepath.Clean(h)
	}
	if u, err := user.Current(); err == nil {
		return u.HomeDir
	}
	return ""
}

// user is the name of the operator, empty if nothing tells it.
func (a app) user() string {
	if os.Geteuid() == 0 && !sandbox.MachineRoot() {
		return a.getenv("USER") // of before: enter
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return a.getenv("USER")
}

// stateDir is where locks and what a killed run left are kept.
func (a app) stateDir() string {
	if d := a.getenv("ZVIZ_STATE_DIR"); filepath.IsAbs(d) {
		return filepath.Clean(d)
	}
	if sandbox.MachineRoot() {
		return "/var/lib/zviz"
	}
	// Relative paths in these variables are to be ignored (XDG Base Directory
	// Specification 0.8).
	if d := a.getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "zviz")
	}
	return a.belowHome(".local", "state", "zviz")
}

// belowHome is a path below the home directory. Without one it is below the root, where
// nothing is found and nothing can be made: a relative path would be in the workspace,
// whose files are not the operator's.
func (a app) belowHome(names ...string) string {
	return filepath.Join("/", a.home(), filepath.Join(names...))
}

// policyFiles returns where the operator's policy is looked for.
func (a app) policyFiles() []string {
	dir := a.getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		dir = a.belowHome(".config")
	}
	return []string{filepath.Join(dir, "zviz", "policy.yml"), "/etc/zviz/policy.yml"}
}

// policy reads the operator's policy file. The name is empty if there is none;
// a file that is there but cannot be read or understood is an error.
func (a app) policy(flag string) (p executor.PolicyFile, name string, err error) {
	if flag != "" {
		p, err = executor.ReadPolicy(flag)
		return p, flag, err
	}
	for _, name := range a.policyFiles() {
		p, err := executor.ReadPolicy(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return p, name, err
	}
	return executor.PolicyFile{}, "", nil
}

// enter gives an ordinary user the rights that a sandbox needs, over namespaces of
// the user's own.
func (a app) enter() error {
	if a.asUser == nil {
		return nil
	}
	if os.Geteuid() == 0 {
		return a.asUser(a.Env) // nothing to do
	}
	// There our id is that of root, so that the user database tells nothing of us.
	home := a.home()
	if home == "" {
		return failure{Code: "state.unusable", What: "HOME is not set, and your user is not in the user database", Fix: "export HOME=DIR, a folder of yours outside of the workspace", Exit: exitOurs}
	}
	env := slices.DeleteFunc(slices.Clone(a.Env), func(kv string) bool {
		return strings.HasPrefix(kv, "HOME=") || strings.HasPrefix(kv, "USER=")
	})
	return a.asUser(append(env, "HOME="+home, "USER="+a.user()))
}

// runner makes the executor.
func (a app) runner(log *slog.Logger) (runner, error) {
	return a.newRunner(a.config(log))
}

// config is what the executor needs of this machine.
func (a app) config(log *slog.Logger) executor.Config {
	return executor.Config{StateDir: a.stateDir(), PackageDir: a.packageDir(), Home: a.home(), Environ: a.Env, Log: log}
}
