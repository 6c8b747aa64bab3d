// SPDX-License-Identifier: Apache-2.0

package seccomp

import "runtime"

// Arch is a processor architecture by Go's name.
type Arch string

// The architectures that programs are compiled for.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// Native returns the architecture that this program was built for. It may be
// one that Compile refuses.
func Native() Arch { return Arch(runtime.GOARCH) }

// AUDIT_ARCH_* of include/uapi/linux/audit.h: ELF machine, 64-bit, little endian.
const (
	auditX86_64  = 0xc000003e
	auditAArch64 = 0xc00000b7
)

// x32Bit marks a number of the x32 ABI, which reports AUDIT_ARCH_X86_64
// (__X32_SYSCALL_BIT). arm64 has no such numbers, so the test is harmless there.
const x32Bit = 0x40000000

// audit returns the AUDIT_ARCH value of the native ABI; 0 if unknown.
func (a Arch) audit() uint32 {
	switch a {
	case AMD64:
		return auditX86_64
	case ARM64:
		return auditAArch64
	default:
		return 0
	}
}
