// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package pid1

import (
	"encoding/binary"
	"errors"
	"strings"
	"unsafe"

	"github.com/zviz/run/internal/tiny"
)

func code() //nolint:unused // its address is taken in assembly
func codeAddr() unsafe.Pointer

// Image returns the ELF file of process 1 for the command.
//
// Its data segment starts with the terminal's descriptor, the addresses of three
// null-terminated arrays (the paths to try, argv and envp), its name, and whether it
// stays.
func Image(c Command) ([]byte, error) {
	text, err := tiny.Routine(codeAddr())
	if err != nil {
		return nil, err
	}
	if len(c.Args) == 0 || c.Args[0] == "" {
		return nil, errors.New("empty command")
	}
	return tiny.Image(text, layout(c))
}

// layout builds the data segment.
func layout(c Command) []byte {
	paths := Paths(c.Args[0], c.Env)
	words := 7 + len(paths) + 1 + len(c.Args) + 1 + len(c.Env) + 1
	data := make([]byte, words*8)
	at := 7
	put := func(i int, v uint64) { binary.LittleEndian.PutUint64(data[i*8:], v) }
	list := func(header int, ss []string) {
		put(header, tiny.DataBase+uint64(at)*8)
		for _, s := range ss {
			put(at, tiny.DataBase+uint64(len(data)))
			data = append(append(data, s...), 0)
			at++
		}
		at++ // the null pointer
	}
	put(0, uint64(int64(c.Tty)))
	copy(data[32:48], Name)
	if c.Stay {
		put(6, 1)
	}
	list(1, paths)
	list(2, c.Args)
	list(3, c.Env)
	return data
}

// Paths returns the files that execvp(3) would try for a command: the name
// itself if it has a slash, else one a directory of PATH in env. Relative and
// empty entries of PATH are left out: the workspace is not a place to find
// commands in.
func Paths(name string, env []string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	path := ""
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	var out []string
	for dir := range strings.SplitSeq(path, ":") {
		if strings.HasPrefix(dir, "/") {
			out = append(out, strings.TrimSuffix(dir, "/")+"/"+name)
		}
	}
	return out
}
