// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/internal/spell"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/seccomp"
)

// maxPolicyBytes bounds a policy file.
const maxPolicyBytes = 1 << 20

// maxPolicyNodes bounds what aliases may make of a policy file: an alias is
// followed like a copy, so that a file of one screen could stand for billions
// of values.
const maxPolicyNodes = 100_000

// PolicyFile is what a policy file says.
type PolicyFile struct {
	Policy  Policy
	Presets []string // names that egress.Discover knows
	// DecidesHosts tells a file that has "presets" or "allow", if only to say
	// "none", from one that leaves the hosts to the flags and the built-ins.
	DecidesHosts bool
	// Origins says where a key was written, as "FILE:LINE"; keys are joined by dots.
	Origins map[string]string
}

// PolicyError is an error in a policy file, with its place.
type PolicyError struct {
	File      string
	Line, Col int // from 1; 0 if unknown
	What      string
	Fix       string // what was probably meant, empty if nothing is known
	err       error
}

func (e *PolicyError) Error() string {
	s := e.File
	if e.Line > 0 {
		s += ":" + strconv.Itoa(e.Line)
		if e.Col > 0 {
			s += ":" + strconv.Itoa(e.Col)
		}
	}
	return s + ": " + e.What
}

func (e *PolicyError) Unwrap() error { return e.err }

// Hint says what was probably meant.
func (e *PolicyError) Hint() string { return e.Fix }

// Code is the stable name of the error: policy.unreadable or policy.invalid.
func (e *PolicyError) Code() string {
	if e.err != nil {
		return "policy.unreadable"
	}
	return "policy.invalid"
}

// ReadPolicy reads the policy file name. An error that wraps fs.ErrNotExist
// means that there is none.
func ReadPolicy(name string) (PolicyFile, error) {
	data, err := readRegular(name, maxPolicyBytes)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return PolicyFile{}, &PolicyError{File: name, What: "cannot read the policy file: " + err.Error(), err: err}
	}
	return ParsePolicy(name, data)
}

// readRegular reads a regular file of at most most bytes. It does not wait for
// a pipe and does not read a device.
func readRegular(name string, most int) ([]byte, error) {
	// Stat first, since opening some devices does something; then the file that
	// was opened, since the name may mean another by now.
	if fi, err := os.Stat(name); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if fi, err := f.Stat(); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > most {
		return nil, fmt.Errorf("larger than %d KiB", most>>10)
	}
	return data, nil
}

// ParsePolicy reads the text of a policy file; name stands in errors. A key that
// is not known is an error, since what it would have restricted would be open.
func ParsePolicy(name string, data []byte) (PolicyFile, error) {
	d, err := decodePolicy(name, data)
	if err != nil {
		return PolicyFile{}, err
	}
	return d.out, nil
}

// decodePolicy reads a policy file, and keeps where in it everything stands.
func decodePolicy(name string, data []byte) (*policyDecoder, error) {
	d := newPolicyDecoder(name)
	if len(data) > maxPolicyBytes {
		return nil, &PolicyError{File: name, What: fmt.Sprintf("larger than %d KiB", maxPolicyBytes>>10)}
	}
	root, err := d.load(data)
	if err != nil {
		return nil, err
	}
	return d, d.file(root)
}

// policyDecoder walks the nodes of a policy file. It decodes by hand, because a
// policy file is read by people first: each error has its line and column and
// says what was meant.
type policyDecoder struct {
	name  string
	left  int // nodes that may still be visited
	out   PolicyFile
	keys  map[string]*yaml.Node // by what Origins has
	rules map[string]*yaml.Node // by their Origin: the first one of a line
}

func newPolicyDecoder(name string) *policyDecoder {
	return &policyDecoder{
		name: name, left: maxPolicyNodes, out: PolicyFile{Origins: map[string]string{}},
		keys: map[string]*yaml.Node{}, rules: map[string]*yaml.Node{},
	}
}

// file decodes the whole.
func (d *policyDecoder) file(root *yaml.Node) error {
	p := &d.out.Policy
	version := 0
	err := d.mapping(root, "the policy file", []field{
		parsed(d, "", "version", &version, func(s string) (int, error) {
			if s != "1" {
				return 0, errors.New("this version reads version 1")
			}
			return 1, nil
		}),
		{"egress", d.egress},
		{"limits", d.limits},
		parsed(d, "", "profile", &p.Profile, oneOf(seccomp.ProfileNames()...)),
		parsed(d, "", "rootfs", &p.Rootfs, absolute),
		d.texts("", "write", func(s string) error {
			if !filepath.IsLocal(s) {
				return fmt.Errorf("%q: want a path below the workspace, such as .git", clip(s))
			}
			addNew(&p.Write, filepath.Clean(s))
			return nil
		}),
		d.texts("", "allow_missing", func(s string) error {
			layers, err := sandbox.ParseLayer(s)
			addNew(&p.AllowMissing, layers...)
			return err
		}),
		{"canaries", func(n *yaml.Node) error {
			on := true
			err := d.boolean(n, "canaries", &on)
			p.NoCanaries = !on
			return err
		}},
		{"steps", nil},
	})
	if err == nil && version == 0 {
		e := d.errorf(root, `the key "version" is missing`)
		e.Fix = "begin the file with: version: 1"
		return e
	}
	return err
}

func (d *policyDecoder) limits(n *yaml.Node) error {
	const where = "limits"
	l := &d.out.Policy.Limits
	// Two names of one limit: of both the one that is not meant could win.
	once := func(name string) field {
		f := parsed(d, where, name, &l.Wall, ParseWall)
		return field{name, func(n *yaml.Node) error {
			if d.out.Origins[join(where, "wall")] != "" && d.out.Origins[join(where, "timeout")] != "" {
				return d.errorf(n, "limits.wall and limits.timeout are the same; keep one")
			}
			return f.set(n)
		}}
	}
	return d.mapping(n, where, []field{
		parsed(d, where, "memory", &l.MemoryBytes, ParseMemory),
		parsed(d, where, "cpus", &l.CPUs, ParseCPUs),
		parsed(d, where, "pids", &l.Pids, ParsePids),
		once("timeout"),
		once("wall"),
		parsed(d, where, "open_files", &l.OpenFiles, ParseOpenFiles),
	})
}

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if slices.Contains(words, s) {
			return s, nil
		}
		if n, ok := spell.Nearest(s, words); ok {
			return "", fmt.Errorf("did you mean %q?", n)
		}
		return "", errors.New("want " + strings.Join(words, " or "))
	}
}

func absolute(s string) (string, error) {
	if !filepath.IsAbs(s) {
		return "", errors.New("want an absolute path")
	}
	return filepath.Clean(s), nil
}

// addNew appends the values that are not there yet.
func addNew[T comparable](dst *[]T, values ...T) {
	for _, v := range values {
		if !slices.Contains(*dst, v) {
			*dst = append(*dst, v)
		}
	}
}
