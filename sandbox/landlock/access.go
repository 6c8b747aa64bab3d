// SPDX-License-Identifier: Apache-2.0

package landlock

// Right is a set of file rights of ours; each stands for the kernel's rights
// that the running ABI knows.
type Right uint8

// The rights.
const (
	Read    Right = 1 << iota // open for reading, list directories
	Execute                   // run files
	Write                     // open for writing, truncate
	Make                      // create, link, rename and remove
	Ioctl                     // ioctl on devices (ABI 5)
)

// Access gives rights to the tree below each path of the sandbox.
type Access map[string]Right
