// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"strconv"
	"strings"
)

//go:generate go run ./gen

// table returns every number of an architecture: lines "number name", by
// number. It is text so that it costs nothing until it is asked.
func (a Arch) table() string {
	switch a {
	case AMD64:
		return numbersX86_64
	case ARM64:
		return numbersAArch64
	default:
		return ""
	}
}

// Name returns the name of a system call, or "syscall 1000" for a number that
// this version does not know.
func Name(a Arch, nr uint32) string {
	if name, ok := lookupName(a, nr); ok {
		return name
	}
	return "syscall " + strconv.FormatUint(uint64(nr), 10)
}

func lookupName(a Arch, nr uint32) (string, bool) {
	want := strconv.FormatUint(uint64(nr), 10)
	for line := range strings.Lines(a.table()) {
		number, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if number == want {
			return name, true
		}
	}
	return "", false
}

// call is one line of a table.
type call struct {
	nr   uint32
	name string
}

// calls returns every call of the architecture by number.
func (a Arch) calls() []call {
	var all []call
	for line := range strings.Lines(a.table()) {
		number, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		nr, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			panic("bug: table of system calls: " + err.Error())
		}
		all = append(all, call{uint32(nr), name})
	}
	return all
}
