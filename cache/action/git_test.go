// SPDX-License-Identifier: Apache-2.0

package action

import (
	"bytes"
	"io"
	"testing"
)

// What git prints is bounded the way os/exec copies it, which takes the ReadFrom of
// what it copies to, if there is one.
func TestGitOutputIsBounded(t *testing.T) {
	for _, tt := range []struct {
		size int
		full bool
	}{{mostSaid, false}, {mostSaid + 1, true}, {3 * mostSaid, true}} {
		l := &limited{}
		n, err := io.Copy(l, struct{ io.Reader }{bytes.NewReader(make([]byte, tt.size))}) // not its WriteTo, which a pipe does not have
		if err != nil || n != int64(tt.size) || l.full != tt.full || l.text.Len() != min(tt.size, mostSaid) {
			t.Errorf("of %d bytes: %d kept, full %v, %v", tt.size, l.text.Len(), l.full, err)
		}
	}
}
