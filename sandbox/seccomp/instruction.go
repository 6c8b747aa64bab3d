// SPDX-License-Identifier: Apache-2.0

package seccomp

// Instruction is one BPF instruction, with the layout of struct sock_filter.
type Instruction struct {
	Code   uint16
	JT, JF uint8
	K      uint32
}
