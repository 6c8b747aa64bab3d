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
func Image(c Command) ([]byte, error) {
	text, err := tiny.Routine(codeAddr())
	if err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return tiny.Image(text, layout(c, tiny.DataBase))
}

// Waiting returns the ELF file of a process 1 that waits for its command: for the
// length of a Late in the file CommandFD, eight bytes in the machine's order on
// ControlFD. The end of that pipe ends it.
func Waiting() ([]byte, error) {
	text, err := tiny.Routine(codeAddr())
	if err != nil {
		return nil, err
	}
	data := make([]byte, headerWords*8)
	copy(data[nameWord*8:], Name)
	binary.LittleEndian.PutUint64(data[fileWord*8:], CommandFD)
	return tiny.Image(text, data)
}

// Late returns what a waiting process 1 reads its command from.
func Late(c Command) ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	return layout(c, lateBase), nil
}

func (c Command) validate() error {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return errors.New("empty command")
	}
	return nil
}

// The words that the data segment starts with: the terminal's descriptor, the
// addresses of three null-terminated arrays (the paths to try, argv and envp), its
// name (two words), whether it stays, the address of the directory, and the
// descriptor of the file that the command is read from. The code knows them.
const (
	ttyWord, pathsWord, argsWord, envWord, nameWord, stayWord, dirWord, fileWord = 0, 1, 2, 3, 4, 6, 7, 8

	headerWords = 9
	lateBase    = 0x10000000 // where a waiting one maps its command
)

// layout builds the data segment for an address.
func layout(c Command, base uint64) []byte {
	paths := Paths(c.Args[0], c.Env)
	words := headerWords + len(paths) + 1 + len(c.Args) + 1 + len(c.Env) + 1
	data := make([]byte, words*8)
	at := headerWords
	put := func(i int, v uint64) { binary.LittleEndian.PutUint64(data[i*8:], v) }
	text := func(word int, s string) {
		put(word, base+uint64(len(data)))
		data = append(append(data, s...), 0)
	}
	list := func(header int, ss []string) {
		put(header, base+uint64(at)*8)
		for _, s := range ss {
			text(at, s)
			at++
		}
		at++ // the null pointer
	}
	put(ttyWord, uint64(int64(c.Tty)))
	copy(data[nameWord*8:stayWord*8], Name)
	if c.Stay {
		put(stayWord, 1)
	}
	if c.Dir != "" {
		text(dirWord, c.Dir)
	}
	list(pathsWord, paths)
	list(argsWord, c.Args)
	list(envWord, c.Env)
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
