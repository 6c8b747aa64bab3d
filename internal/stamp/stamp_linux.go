// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package stamp

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/tiny"
)

func code() //nolint:unused // its address is taken in assembly
func codeAddr() unsafe.Pointer

// Write writes the program to a file that everybody may run.
func Write(name string) error {
	text, err := tiny.Routine(codeAddr())
	if err != nil {
		return err
	}
	image, err := tiny.Image(text, make([]byte, 8))
	if err != nil {
		return err
	}
	return os.WriteFile(name, image, 0o755) //nolint:gosec // a program
}

// Now is the clock that the program reads, since an arbitrary moment
// (CLOCK_MONOTONIC, clock_gettime(2)).
func Now() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano()), err
}

// Read returns what the program printed.
func Read(out []byte) (time.Duration, error) {
	if len(out) != 16 {
		return 0, fmt.Errorf("the stamp has %d bytes, want 16", len(out))
	}
	sec, nsec := binary.NativeEndian.Uint64(out), binary.NativeEndian.Uint64(out[8:])
	return time.Duration(sec)*time.Second + time.Duration(nsec), nil
}
