// SPDX-License-Identifier: Apache-2.0

// Package tiny makes programs of a few hundred bytes that need no runtime: a
// routine of this binary's own machine code and its data, wrapped into a static
// ELF file (elf(5)) in memory.
package tiny
