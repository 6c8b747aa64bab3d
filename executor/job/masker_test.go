// SPDX-License-Identifier: Apache-2.0

package job

import (
	"fmt"
	"strings"
	"testing"
)

// However many values a job names one by one, with output between them, each is hidden,
// and each is made ready a few times only.
func TestMaskerGrows(t *testing.T) {
	m := newMasker([]string{"the-first-secret"})
	made := 0
	for i := range mostMasks - 1 { // the secret counts
		value := fmt.Sprintf("value-%04d-of-the-job", i)
		if !m.addOf(value) {
			t.Fatalf("value %d was refused", i)
		}
		if n := len(m.sets); n > 20 {
			t.Fatalf("after %d values there are %d sets", i, n)
		}
		made += len(m.sets[len(m.sets)-1].values)
		if got := m.text("x " + value + " y"); got != "x *** y" {
			t.Fatalf("value %d: got %q", i, got)
		}
	}
	if made > mostMasks*20 {
		t.Errorf("%d values were made ready %d times", mostMasks, made)
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
