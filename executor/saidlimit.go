// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"bytes"
	"strings"
)

// limit returns the limit that the command's own last words name: the kernel
// tells a supervisor neither of a process that has no descriptors left nor of a
// full tmpfs. It is a claim, like a refused file.
func (t *tail) limit() string {
	t.mu.Lock()
	text := bytes.Clone(t.buf)
	t.mu.Unlock()
	for line := range bytes.Lines(text) {
		l := string(line)
		switch lower := strings.ToLower(l); {
		case strings.Contains(lower, "too many open files"), strings.Contains(l, "EMFILE"):
			return "open_files"
		case strings.Contains(lower, "no space left on device"), strings.Contains(l, "ENOSPC"):
			return "space"
		}
	}
	return ""
}
