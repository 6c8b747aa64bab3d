// SPDX-License-Identifier: Apache-2.0

package landlock

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

func TestHandled(t *testing.T) {
	for _, c := range []struct {
		abi  int
		bits int // how many rights the kernel's header lists
		last uint64
	}{
		{-1, 0, 0},
		{0, 0, 0},
		{1, 13, ll.AccessFSMakeSym},
		{2, 14, ll.AccessFSRefer},
		{3, 15, ll.AccessFSTruncate},
		{4, 15, ll.AccessFSTruncate},
		{5, 16, ll.AccessFSIoctlDev},
		{6, 16, ll.AccessFSIoctlDev},
		{7, 16, ll.AccessFSIoctlDev},
		{99, 16, ll.AccessFSIoctlDev},
	} {
		h := Handled(c.abi)
		if bits.OnesCount64(h) != c.bits || h&c.last != c.last || h >= 2*max(c.last, 1) {
			t.Errorf("Handled(%d) = %#x, want %d bits up to %#x", c.abi, h, c.bits, c.last)
		}
	}
}

func TestUngoverned(t *testing.T) {
	for abi, want := range [][]string{{"truncate", "ioctl"}, {"truncate", "ioctl"}, {"truncate", "ioctl"}, {"ioctl"}, {"ioctl"}, nil, nil, nil} {
		if got := Ungoverned(abi); !slices.Equal(got, want) {
			t.Errorf("Ungoverned(%d) = %v, want %v", abi, got, want)
		}
	}
}

func TestKernel(t *testing.T) {
	const mk = ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSMakeSym | ll.AccessFSMakeSock | ll.AccessFSMakeFifo |
		ll.AccessFSRemoveFile | ll.AccessFSRemoveDir
	for _, c := range []struct {
		right     Right
		abi       int
		dir, file uint64
	}{
		{0, 7, 0, 0},
		{Read, 7, ll.AccessFSReadFile | ll.AccessFSReadDir, ll.AccessFSReadFile},
		{Execute, 7, ll.AccessFSExecute, ll.AccessFSExecute},
		{Write, 2, ll.AccessFSWriteFile, ll.AccessFSWriteFile},
		{Write, 3, ll.AccessFSWriteFile | ll.AccessFSTruncate, ll.AccessFSWriteFile | ll.AccessFSTruncate},
		{Make, 1, mk, 0},
		{Make, 2, mk | ll.AccessFSRefer, 0},
		{Make, 7, mk | ll.AccessFSRefer, 0},
		{Ioctl, 4, 0, 0},
		{Ioctl, 5, ll.AccessFSIoctlDev, ll.AccessFSIoctlDev},
		{Read | Write | Make, 0, 0, 0},
	} {
		if got := (Rule{Dir: true, Right: c.right}).kernel(c.abi); got != c.dir {
			t.Errorf("%v at ABI %d, directory: %#x, want %#x", c.right, c.abi, got, c.dir)
		}
		if got := (Rule{Right: c.right}).kernel(c.abi); got != c.file {
			t.Errorf("%v at ABI %d, file: %#x, want %#x", c.right, c.abi, got, c.file)
		}
	}
	all := Read | Execute | Write | Make | Ioctl
	for abi := range 12 {
		if k := all.Kernel(abi); k&^Handled(abi) != 0 {
			t.Errorf("ABI %d: rights %#x outside of what is handled", abi, k&^Handled(abi))
		}
		if all.Kernel(abi)&(ll.AccessFSMakeChar|ll.AccessFSMakeBlock) != 0 {
			t.Errorf("ABI %d: device nodes can be made", abi)
		}
	}
}

func TestPathBeneathAttr(t *testing.T) {
	got := PathBeneathAttr(7, Read|Write, 7)
	want := binary.NativeEndian.AppendUint64(nil, ll.AccessFSReadFile|ll.AccessFSReadDir|ll.AccessFSWriteFile|ll.AccessFSTruncate)
	want = binary.NativeEndian.AppendUint32(want, 7)
	if !bytes.Equal(got[:], want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestRightString(t *testing.T) {
	for r, want := range map[Right]string{0: "none", Read: "read", Read | Execute: "read+execute", Write | Make | Ioctl: "write+make+ioctl"} {
		if got := fmt.Sprint(r); got != want {
			t.Errorf("%d = %q, want %q", uint8(r), got, want)
		}
	}
}
