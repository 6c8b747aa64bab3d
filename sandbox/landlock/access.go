// SPDX-License-Identifier: Apache-2.0

package landlock

import "strings"

// Right is a set of file rights of ours; each stands for the kernel's rights
// that the running ABI knows.
type Right uint8

// The rights.
const (
	Read    Right = 1 << iota // open for reading, list directories
	Execute                   // run files
	Write                     // open for writing, truncate
	Make                      // create, link, rename and remove; never device nodes
	Ioctl                     // ioctl on devices (ABI 5)
)

// Access gives rights to the tree below each path of the sandbox.
type Access map[string]Right

// String returns the rights as "read+execute"; "none" for the zero Right.
func (r Right) String() string {
	var names []string
	for i, name := range []string{"read", "execute", "write", "make", "ioctl"} {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "+")
}
