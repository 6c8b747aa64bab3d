// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/binary"
	"fmt"

	"github.com/zviz/run/internal/linux"
	"github.com/zviz/run/sandbox/landlock"
)

// load lays a program out in memory that the child can walk.
func load(p Program, fds []int) (*linux.Arena, error) {
	size := 4096 + len(p.Filter)
	for _, c := range p.Calls {
		for _, a := range c.Args {
			size += len(a.Text) + len(a.Data) + 64
		}
	}
	arena, err := linux.NewArena(len(p.Calls), size)
	if err != nil {
		return nil, err
	}
	slots := make([]*linux.Op, 0, len(p.Calls))
	for _, c := range p.Calls {
		nr, ok := number(p.Arch, c.Name)
		if !ok {
			_ = arena.Free()
			return nil, fmt.Errorf("bug: no number for %s", c.Name)
		}
		var flags uint64
		if c.MayFail {
			flags |= linux.OpMayFail
		}
		if c.ZeroEnds {
			flags |= linux.OpZeroEnds
		}
		var args [6]uint64
		from, to := -1, 0
		for i, a := range c.Args {
			switch a.Kind {
			case ArgInt:
				args[i] = a.Int
			case ArgText:
				args[i] = arena.Bytes([]byte(a.Text))
			case ArgData:
				args[i] = arena.Bytes(a.Data)
			case ArgHandle:
				args[i] = uint64(fds[a.Int])
			case ArgResult:
				from, to = int(a.Int), i
			case ArgFilter:
				// struct sock_fprog: a 16-bit length, padding, an address.
				prog := binary.NativeEndian.AppendUint16(nil, uint16(len(p.Filter)/8))
				prog = append(prog, make([]byte, 6)...)
				prog = binary.NativeEndian.AppendUint64(prog, arena.Bytes(p.Filter))
				args[i] = arena.Bytes(prog)
			case ArgRule:
				abi, err := landlock.ABI()
				if err != nil {
					_ = arena.Free()
					return nil, err
				}
				attr := landlock.PathBeneathAttr(fds[a.Int], landlock.Write, abi)
				args[i] = arena.Bytes(attr[:])
			case ArgVector:
				v := binary.NativeEndian.AppendUint64(nil, arena.Bytes([]byte(a.Text)))
				args[i] = arena.Bytes(append(v, make([]byte, 8)...))
			}
		}
		op := arena.Call(uintptr(nr), flags, args[:]...)
		if from >= 0 {
			arena.Refer(op, to, slots[from])
		}
		slots = append(slots, op)
	}
	return arena, nil
}

// failure explains which call ended a program early; nil if none did.
func failure(p Program, a *linux.Arena) *LayerError {
	for i := range a.Ops() {
		op, c := &a.Ops()[i], p.Calls[i]
		if op.Reached() && op.Errno() != 0 && !c.MayFail {
			return &LayerError{Layer: c.Layer, Stage: c.Name, Path: c.Object, Err: op.Errno()}
		}
	}
	return nil
}
