// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"slices"
	"testing"
)

// TestEscapesNothing: the forms that are left out for a value would all be the value.
func TestEscapesNothing(t *testing.T) {
	n := 0
	for c := range 256 {
		s := "abc" + string([]byte{byte(c)}) + "def"
		if !escapesNothing(s) {
			continue
		}
		n++
		for _, f := range slices.Concat(urlForms(s), jsonForms(s), quotedForms(s)) {
			if f != s {
				t.Errorf("%q has the form %q", s, f)
			}
		}
	}
	if n != 65 {
		t.Errorf("%d bytes are taken for harmless", n)
	}
}
