// SPDX-License-Identifier: Apache-2.0

package seccomp

// prebuilt returns a new copy of a program that was compiled before the build;
// nil if there is none. A start then pays for copying 2 KB; compiling takes some
// twenty times as long as the kernel takes to load the result.
func (p Profile) prebuilt(a Arch) []Instruction {
	switch {
	case p.same(CI()) && a == AMD64:
		return ciX86_64()
	case p.same(CI()) && a == ARM64:
		return ciAArch64()
	case p.same(Hostile()) && a == AMD64:
		return hostileX86_64()
	case p.same(Hostile()) && a == ARM64:
		return hostileAArch64()
	case p.same(Debug()) && a == AMD64:
		return debugX86_64()
	case p.same(Debug()) && a == ARM64:
		return debugAArch64()
	case p.same(Root()) && a == AMD64:
		return rootX86_64()
	case p.same(Root()) && a == ARM64:
		return rootAArch64()
	default:
		return nil
	}
}
