// SPDX-License-Identifier: Apache-2.0

package mask_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zviz/run/internal/mask"
)

// However many values come one by one, with text between them, each is made ready a few
// times only.
func TestGrowing(t *testing.T) {
	const most = 1000
	var g mask.Growing
	made := 0
	for i := range most {
		value := fmt.Sprintf("value-%04d-of-the-job", i)
		g.Add(value)
		sets := g.Values()
		if len(sets) > 20 {
			t.Fatalf("after %d values there are %d sets", i, len(sets))
		}
		made += sets[len(sets)-1]
		var b strings.Builder
		w := g.NewWriter(&b)
		_, _ = w.Write([]byte("x " + value + " value-0000-of-the-job"))
		if _ = w.Flush(); b.String() != "x *** ***" {
			t.Fatalf("value %d: got %q", i, b.String())
		}
	}
	if made > most*20 {
		t.Errorf("%d values were made ready %d times", most, made)
	}
}

// Values that are in sets of their own are hidden as those of one set are, wherever the
// text is cut.
func FuzzSets(f *testing.F) {
	f.Add("abcdef cdefgh efghij", "xabcdefghij abcdefgh abcd", uint8(3))
	f.Add("secret secret-of-more", "a secret-of-more c2VjcmV0", uint8(1))
	f.Add("aaaa aaaaa baaab", "aaaaaaaabaaabaaaa", uint8(2))
	f.Add("one1 two2 three3", "one1two2three3one", uint8(5))
	f.Fuzz(func(t *testing.T, words, text string, cut uint8) {
		values := strings.Fields(words)
		if len(values) > 8 {
			values = values[:8]
		}
		var sets []*mask.Set
		for _, v := range values {
			sets = append(sets, mask.NewSet([]string{v}))
		}
		var got strings.Builder
		w := mask.NewWriter(&got, sets...)
		for rest := text; rest != ""; {
			n := min(len(rest), max(int(cut), 1))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if want := through(t, values, text, max(int(cut), 1)); got.String() != want {
			t.Errorf("values %q, text %q: got %q, want %q", values, text, got.String(), want)
		}
	})
}
