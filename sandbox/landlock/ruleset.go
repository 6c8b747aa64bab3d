// SPDX-License-Identifier: Apache-2.0

package landlock

import (
	"encoding/binary"
	"fmt"
)

// Rule gives rights to what a descriptor stands for and to the tree below it.
type Rule struct {
	FD    int  // O_PATH is enough; Create neither keeps nor closes it
	Dir   bool // a file's rule carries only the rights that a file has
	Right Right
}

func (r Rule) kernel(abi int) uint64 {
	k := r.Right.Kernel(abi)
	if !r.Dir {
		k &= ofFile
	}
	return k
}

// ABIError says that the kernel's Landlock is too old.
type ABIError struct{ Found, Needed int }

func (e *ABIError) Error() string {
	return fmt.Sprintf("kernel offers ABI %d, need %d", e.Found, e.Needed)
}

// PathBeneathAttr returns a struct landlock_path_beneath_attr (packed) for a
// rule on a directory that the child adds itself: for mounts that do not exist
// before it.
func PathBeneathAttr(fd int, right Right, abi int) [12]byte {
	var b [12]byte
	binary.NativeEndian.PutUint64(b[:8], right.Kernel(abi))
	binary.NativeEndian.PutUint32(b[8:], uint32(int32(fd)))
	return b
}
