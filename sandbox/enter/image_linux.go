// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package enter

import (
	"encoding/binary"
	"unsafe"

	"github.com/zviz/run/internal/tiny"
)

func code() //nolint:unused // its address is taken in assembly
func codeAddr() unsafe.Pointer

// message is what is said, with exit code 125, if one of the calls fails.
const message = "error: cannot enter a user namespace\n  fix  zviz-runner doctor says what this machine lacks\n"

// Image returns the ELF file of the program. It inherits two descriptors: of the
// user namespace to join and of the file to run.
func Image(namespace, program int) ([]byte, error) {
	text, err := tiny.Routine(codeAddr())
	if err != nil {
		return nil, err
	}
	var data []byte
	for _, v := range []int{namespace, program, len(message)} {
		data = binary.LittleEndian.AppendUint64(data, uint64(v))
	}
	return tiny.Image(text, append(data, message...))
}
