// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack

import "golang.org/x/sys/unix"

// x86Rows are calls that only x86 has.
func x86Rows() []Attempt {
	enosys := []string{"ENOSYS"}
	return []Attempt{
		{
			ID: "sc-18", What: "modify_ldt", Want: enosys, Control: InUserNamespace, Absent: "ENOSYS", Arch: "amd64",
			run: func([]string) (string, error) {
				var table [16]byte
				return "the table", inChild(call{unix.SYS_MODIFY_LDT, 0, pointer(&table), 16})
			},
		},
		{
			ID: "sc-20", What: "iopl(3)", Want: enosys, Control: AsRoot, Absent: "ENOSYS", Arch: "amd64",
			run: func([]string) (string, error) { return "all ports", inChild(call{unix.SYS_IOPL, 3}) },
		},
		{
			ID: "sc-20-ioperm", What: "ioperm of port 0x80", Want: enosys, Control: AsRoot, Absent: "ENOSYS", Arch: "amd64",
			run: func([]string) (string, error) { return "a port", inChild(call{unix.SYS_IOPERM, 0x80, 1, 1}) },
		},
	}
}
