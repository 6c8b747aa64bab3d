// SPDX-License-Identifier: Apache-2.0

package job

import (
	"fmt"
	"strings"
	"testing"
)

// However many values a job names one by one, with output between them, each is hidden.
func TestMaskerGrows(t *testing.T) {
	m := newMasker([]string{"the-first-secret"})
	for i := range mostMasks - 1 { // the secret counts
		value := fmt.Sprintf("value-%04d-of-the-job", i)
		if !m.addOf(value) {
			t.Fatalf("value %d was refused", i)
		}
		if got := m.text("x " + value + " y"); got != "x *** y" {
			t.Fatalf("value %d: got %q", i, got)
		}
	}
	for _, i := range []int{0, 1, 499, mostMasks - 2} {
		text := fmt.Sprintf("value-%04d-of-the-jobthe-first-secret", i)
		if got := m.text(text); got != "***" {
			t.Errorf("%q: got %q", text, got)
		}
	}
	if m.addOf("one-more") || strings.Contains(m.text("one-more"), "*") {
		t.Error("a value too many was taken")
	}
}

func BenchmarkMaskerGrows(b *testing.B) {
	for b.Loop() {
		m := newMasker(nil)
		for i := range mostMasks {
			m.addOf(fmt.Sprintf("value-%04d-of-the-job", i))
			m.text("a line of output between them")
		}
	}
}
