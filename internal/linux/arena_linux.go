// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Arena is memory outside of Go's heap that holds a program and everything its
// calls point to. The child reads and writes it while the runner goes on, so
// nothing in it may be moved or collected.
type Arena struct {
	mem  []byte
	used int
	ops  []Op
}

// NewArena maps room for a program of the given number of calls and bytes of
// data. Free it only when the child has reached execve or is gone.
func NewArena(calls, data int) (*Arena, error) {
	opSize := int(unsafe.Sizeof(Op{}))
	size := (calls*opSize + data + 4095) &^ 4095
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mmap %d bytes: %w", size, err)
	}
	a := &Arena{mem: mem, used: calls * opSize}
	a.ops = unsafe.Slice((*Op)(unsafe.Pointer(&mem[0])), calls)[:0]
	return a, nil
}

// Free unmaps the arena.
func (a *Arena) Free() error {
	if a.mem == nil {
		return nil
	}
	mem := a.mem
	a.mem, a.ops = nil, nil
	return unix.Munmap(mem)
}

// Call appends a system call and returns its slot.
func (a *Arena) Call(nr uintptr, flags uint64, args ...uint64) *Op {
	a.ops = append(a.ops[:len(a.ops):cap(a.ops)], Op{NR: uint64(nr), Flags: flags, Ret: notReached})
	o := &a.ops[len(a.ops)-1]
	copy(o.Args[:], args)
	return o
}

// Refer makes argument i of o the result of from.
func (a *Arena) Refer(o *Op, i int, from *Op) {
	o.From = uint64(uintptr(unsafe.Pointer(&from.Ret)))
	o.To = uint64(uintptr(unsafe.Pointer(&o.Args[i])))
}

// Bytes copies b into the arena, 8-byte aligned, and returns its address.
func (a *Arena) Bytes(b []byte) uint64 {
	off := (a.used + 7) &^ 7
	if off+len(b)+1 > len(a.mem) {
		panic("bug: arena too small") // sizes come from the same program that is loaded
	}
	copy(a.mem[off:], b)
	a.mem[off+len(b)] = 0
	a.used = off + len(b) + 1
	return uint64(uintptr(unsafe.Pointer(&a.mem[off])))
}

// Ops returns the program's calls with their results.
func (a *Arena) Ops() []Op { return a.ops }
