// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package pid1

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"unsafe"
)

const (
	codeBase = 0x400000
	dataBase = 0x600000
	pageSize = 0x10000 // arm64 may have pages of 64 KiB
)

func code() //nolint:unused // its address is taken in assembly
func codeAddr() unsafe.Pointer

// routine returns the machine code of process 1.
func routine() ([]byte, error) {
	const limit = 4096
	b := unsafe.Slice((*byte)(codeAddr()), limit)
	text, _, ok := bytes.Cut(b, []byte("zviz-end"))
	if !ok {
		return nil, errors.New("bug: the routine of process 1 has no end")
	}
	return text, nil
}

// Image returns the ELF file of process 1 for the command.
//
// Its data segment starts with the terminal's descriptor, the addresses of three
// null-terminated arrays (the paths to try, argv and envp) and its name.
func Image(c Command) ([]byte, error) {
	text, err := routine()
	if err != nil {
		return nil, err
	}
	if len(c.Args) == 0 || c.Args[0] == "" {
		return nil, errors.New("empty command")
	}
	data := layout(c)

	var buf bytes.Buffer
	machine := elf.EM_X86_64
	if runtime.GOARCH == "arm64" {
		machine = elf.EM_AARCH64
	}
	hdr := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Entry: codeBase + headerSize, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 3,
	}
	dataOff := uint64(pageSize)
	progs := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: codeBase, Filesz: uint64(headerSize + len(text)), Memsz: uint64(headerSize + len(text)), Align: pageSize},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Off: dataOff, Vaddr: dataBase, Filesz: uint64(len(data)), Memsz: uint64(len(data)), Align: pageSize},
		{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Align: 16},
	}
	for _, v := range []any{hdr, progs} {
		if err := binary.Write(&buf, binary.LittleEndian, v); err != nil {
			return nil, err
		}
	}
	buf.Write(text)
	buf.Write(make([]byte, int(dataOff)-buf.Len()))
	buf.Write(data)
	return buf.Bytes(), nil
}

const headerSize = 64 + 3*56

// layout builds the data segment.
func layout(c Command) []byte {
	paths := Paths(c.Args[0], c.Env)
	words := 6 + len(paths) + 1 + len(c.Args) + 1 + len(c.Env) + 1
	data := make([]byte, words*8)
	at := 6
	put := func(i int, v uint64) { binary.LittleEndian.PutUint64(data[i*8:], v) }
	list := func(header int, ss []string) {
		put(header, dataBase+uint64(at)*8)
		for _, s := range ss {
			put(at, dataBase+uint64(len(data)))
			data = append(append(data, s...), 0)
			at++
		}
		at++ // the null pointer
	}
	put(0, uint64(int64(c.Tty)))
	copy(data[32:48], Name)
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
