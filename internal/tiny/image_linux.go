// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package tiny

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Addresses in the program. The routine uses relative jumps and DataBase only.
const (
	codeBase   = 0x400000
	DataBase   = 0x600000
	headerSize = 64 + 3*56
)

// End is what marks the end of a routine.
const End = "zviz-end"

// Routine returns the machine code at an address, up to End.
func Routine(addr unsafe.Pointer) ([]byte, error) {
	const limit = 4096
	text, _, ok := bytes.Cut(unsafe.Slice((*byte)(addr), limit), []byte(End)) //nolint:gosec // our own code, which holds End
	if !ok {
		return nil, errors.New("bug: the routine has no end")
	}
	return text, nil
}

// Image returns the ELF file of a program. The data is mapped read-only at
// DataBase.
func Image(text, data []byte) ([]byte, error) {
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
	size := uint64(headerSize + len(text))
	progs := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: codeBase, Filesz: size, Memsz: size, Align: pageSize},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Off: pageSize, Vaddr: DataBase, Filesz: uint64(len(data)), Memsz: uint64(len(data)), Align: pageSize},
		{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Align: 16},
	}
	for _, v := range []any{hdr, progs} {
		if err := binary.Write(&buf, binary.LittleEndian, v); err != nil {
			return nil, err
		}
	}
	buf.Write(text)
	if buf.Len() > pageSize {
		return nil, errors.New("bug: the routine does not fit a page")
	}
	buf.Write(make([]byte, pageSize-buf.Len()))
	buf.Write(data)
	return buf.Bytes(), nil
}

// File writes an image to a file in memory that can be run and nothing else: it
// is sealed, and without read permission the kernel keeps its process undumpable
// from the first instruction (execve(2), prctl(2) PR_SET_DUMPABLE). The
// descriptor is O_PATH and close-on-exec.
func File(name string, image []byte) (int, error) {
	// A process that somebody else starts meanwhile must not have a copy of the
	// descriptor that writes: execve(2) would fail with ETXTBSY.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := create(name, unix.MFD_EXEC)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := Fill(fd, image); err != nil {
		return -1, err
	}
	if err := unix.Fchmod(fd, 0o111); err != nil {
		return -1, os.NewSyscallError("fchmod memfd", err)
	}
	// A descriptor that can write would make execve fail with ETXTBSY.
	ro, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: "memfd", Err: err}
	}
	return ro, nil
}

// Memory makes an empty file in memory that cannot be run, for Fill. The descriptor
// is close-on-exec.
func Memory(name string) (int, error) { return create(name, unix.MFD_NOEXEC_SEAL) }

// create makes a file in memory (memfd_create(2)). The flag is of Linux 6.3 and is
// left out before.
func create(name string, flag int) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|flag)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	return fd, os.NewSyscallError("memfd_create", err)
}

// Fill writes data to a file of memory and seals it: nobody changes it any more.
func Fill(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err != nil {
			return os.NewSyscallError("write memfd", err)
		}
		data = data[n:]
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	return os.NewSyscallError("fcntl F_ADD_SEALS", err)
}
