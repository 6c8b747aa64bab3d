// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"slices"
	"strings"

	"github.com/zviz/run/workflows/action"
)

// Path is where the file is, below the repository.
const Path = ".github/workflows/actions.lock"

// Version is the schema that we write.
const Version = "v0.0.2"

// File is a lock file. It does not change: Lock and Remove return another one.
type File struct {
	Name      string
	Workflows []Workflow // by path
	Pins      []Pin      // by key
}

// Workflow is a workflow that is locked.
type Workflow struct {
	Path string   // below the repository, with /
	Pins []string // keys of the actions; at least those that it uses itself
}

// Pin is an action at a commit.
type Pin struct {
	Key     string // owner/repo@ref, owner and repo in lower case; a path of an action is not in it
	Ref     string // branch or tag that the commit was found by
	Commit  string // full, hex in lower case: 40 digits of SHA-1, 64 of SHA-256
	OwnerID int64  // the forge's numbers; they stay when names change hands
	RepoID  int64
	Uses    []string // keys of what the action uses itself
	Line    int      // in the file; 0 for a pin that was not read
}

// pin finds a pin by its key.
func (f *File) pin(key string) (Pin, bool) {
	i, ok := slices.BinarySearchFunc(f.Pins, key, func(p Pin, k string) int { return strings.Compare(p.Key, k) })
	if !ok {
		return Pin{}, false
	}
	return f.Pins[i], true
}

// Locked is what the file says about one workflow.
type Locked struct {
	file     *File
	workflow string
	keys     map[string]bool // those of the workflow, and of what they use
}

// Workflow returns what is said about the workflow of a path; false if it is not locked.
func (f *File) Workflow(path string) (*Locked, bool) {
	for _, w := range f.Workflows {
		if w.Path == path {
			return &Locked{file: f, workflow: path, keys: f.reachable(w.Pins)}, true
		}
	}
	return nil, false
}

// reachable are keys and all that their pins use.
func (f *File) reachable(keys []string) map[string]bool {
	found := map[string]bool{}
	for todo := slices.Clone(keys); len(todo) > 0; {
		key := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if found[key] {
			continue
		}
		found[key] = true
		if p, ok := f.pin(key); ok {
			todo = append(todo, p.Uses...)
		}
	}
	return found
}

// pinKey brings a key into its form; false if it is none. A v0.0.1 key ends with :sha1-….
func pinKey(s string, old bool) (key, ref string, ok bool) {
	if at := strings.LastIndexByte(s, ':'); old && at > 0 {
		if _, isDigest := digest(s[at+1:]); isDigest {
			s = s[:at]
		}
	}
	u, err := action.ParseUses(s)
	if err != nil || u.Kind != action.Remote || u.Path != "" || !strings.EqualFold(u.Pin(), s) {
		return "", "", false
	}
	return u.Pin(), u.Ref, true
}

// digest takes sha1-HEX and sha256-HEX apart.
func digest(s string) (hex string, ok bool) {
	algorithm, hex, _ := strings.Cut(strings.ToLower(s), "-")
	length := map[string]int{"sha1": 40, "sha256": 64}[algorithm]
	return hex, length > 0 && isHex(hex, length)
}

func isHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}
