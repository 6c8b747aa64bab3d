// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Facts is what a process can tell about the sandbox that it is in.
type Facts struct {
	Status     map[string]string `json:"status"`     // /proc/self/status: CapEff, NoNewPrivs, Seccomp …
	Namespaces map[string]string `json:"namespaces"` // "pid": "pid:[4026531836]"
	UIDMap     string            `json:"uid_map"`
	GIDMap     string            `json:"gid_map"`
	Root       []string          `json:"root"` // names in /
	Env        []string          `json:"env"`  // names of variables
	UID        int               `json:"uid"`
	PID        int               `json:"pid"`
	Processes  int               `json:"processes"` // in /proc
}

// ReadFacts reads the facts of this process.
func ReadFacts() (Facts, error) {
	f := Facts{Status: map[string]string{}, Namespaces: map[string]string{}, UID: os.Getuid(), PID: os.Getpid()}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return f, err
	}
	for line := range strings.Lines(string(status)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			f.Status[name] = strings.TrimSpace(value)
		}
	}
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"} {
		if f.Namespaces[name], err = os.Readlink("/proc/self/ns/" + name); err != nil {
			return f, err
		}
	}
	for path, into := range map[string]*string{"/proc/self/uid_map": &f.UIDMap, "/proc/self/gid_map": &f.GIDMap} {
		b, err := os.ReadFile(path)
		if err != nil {
			return f, err
		}
		*into = string(b)
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		f.Env = append(f.Env, name)
	}
	for dir, add := range map[string]func(string){
		"/":     func(name string) { f.Root = append(f.Root, name) },
		"/proc": func(name string) { f.Processes += numeric(name) },
	} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return f, err
		}
		for _, e := range entries {
			add(e.Name())
		}
	}
	return f, nil
}

func numeric(name string) int {
	if strings.Trim(name, "0123456789") == "" {
		return 1
	}
	return 0
}

// JSON returns the facts on one line.
func (f Facts) JSON() string {
	b, err := json.Marshal(f)
	if err != nil {
		return "bug: " + err.Error()
	}
	return string(b)
}

// Find returns the paths under root with name in them. It leaves out /proc and
// /sys, which are no files, and /usr, which is the host's and large.
func Find(root, name string) []string {
	var found []string
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be read is not found
		}
		switch path {
		case "/proc", "/sys", "/usr":
			return filepath.SkipDir
		}
		if strings.Contains(d.Name(), name) {
			found = append(found, path)
		}
		return nil
	})
	return found
}
