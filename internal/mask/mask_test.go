// SPDX-License-Identifier: Apache-2.0

package mask_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/zviz/run/internal/mask"
)

func through(tb testing.TB, secrets []string, text string, cut int) string {
	tb.Helper()
	var out bytes.Buffer
	w := mask.New(&out, secrets)
	for len(text) > 0 {
		n := min(cut, len(text))
		if _, err := w.Write([]byte(text[:n])); err != nil {
			tb.Fatal(err)
		}
		text = text[n:]
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	return out.String()
}

func TestWriter(t *testing.T) {
	const secret = "s3cr3t/+\"value\"?&"
	tests := []struct{ name, text, want string }{
		{"plain", "a " + secret + " b", "a *** b"},
		{"twice in a row", "a" + secret + secret + "b", "a***b"},
		{"nothing", "no such thing", "no such thing"},
		{"start only", secret[:6], secret[:6]},
		{"start, then all", secret[:6] + secret, secret[:6] + "***"},
		{"hex", hex.EncodeToString([]byte(secret)), "***"},
		{"URL", "?q=" + url.QueryEscape(secret), "?q=***"},
		{"JSON of others", `{"a":"s3cr3t/+\"value\"?&"}`, `{"a":"***"}`},
		{"JSON", `{"a":"s3cr3t/+\"value\"?\u0026"}`, `{"a":"***"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for cut := 1; cut <= len(tt.text); cut++ {
				if got := through(t, []string{secret}, tt.text, cut); got != tt.want {
					t.Fatalf("cut at %d: got %q, want %q", cut, got, tt.want)
				}
			}
		})
	}
	for shift := range 4 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret + "tail"))
		if got := through(t, []string{secret}, text, 5); !strings.Contains(got, "***") {
			t.Errorf("base64, shift %d: %q", shift, got)
		}
	}
	if got := through(t, []string{"line one\nline two"}, "> line two\n", 3); got != "> ***\n" {
		t.Errorf("a line of a secret: %q", got)
	}
}

// TestOverlap: of values that overlap or touch each other nothing is left, in
// whatever order they come.
func TestOverlap(t *testing.T) {
	tests := []struct {
		values     []string
		text, want string
	}{
		{[]string{"abcdef", "defghi"}, "xabcdefghix", "x***x"},
		{[]string{"defghi", "abcdef"}, "xabcdefghix", "x***x"},
		{[]string{"abcdef", "ghijkl"}, "xabcdefghijklx", "x***x"},
		{[]string{"abcd", "abcdefgh"}, "abcdefgx abcdefghx", "***efgx ***x"},
		{[]string{"cdef", "abcdefgh"}, "abcdefgx abcdefghx", "ab***gx ***x"},
		{[]string{"bbbb", "dddd", "abbbbcddddef"}, "abbbbcddddeg abbbbcddddef", "a***c***eg ***"},
		{[]string{"aaaa"}, "aaaaaaaaa aaa", "*** aaa"},
		{[]string{"abab"}, "xababababy", "x***y"},
	}
	for _, tt := range tests {
		for cut := 1; cut <= len(tt.text); cut++ {
			if got := through(t, tt.values, tt.text, cut); got != tt.want {
				t.Errorf("%q of %q, cut at %d: got %q, want %q", tt.values, tt.text, cut, got, tt.want)
			}
		}
	}
}

// FuzzOverlap: what is left is what no form of a value covers.
func FuzzOverlap(f *testing.F) {
	f.Add("abcdef", "defghi", "xabcdefghix", uint8(2))
	f.Add("aaaa", "aaab", "aaaaaaab", uint8(0))
	f.Fuzz(func(t *testing.T, a, b, text string, cut uint8) {
		covered := make([]bool, len(text))
		for _, n := range mask.Needles([]string{a, b}) {
			for i := range len(text) {
				if strings.HasPrefix(text[i:], n) {
					for j := range len(n) {
						covered[i+j] = true
					}
				}
			}
		}
		var want strings.Builder
		for i := range len(text) {
			switch {
			case !covered[i]:
				want.WriteByte(text[i])
			case i == 0 || !covered[i-1]:
				want.WriteString(mask.Text)
			}
		}
		if got := through(t, []string{a, b}, text, int(cut)+1); got != want.String() {
			t.Errorf("%q, %q in %q, cut at %d: got %q, want %q", a, b, text, cut, got, want.String())
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	for _, n := range []int{1, 50} {
		var values []string
		for i := range n {
			values = append(values, fmt.Sprintf("%x-secret-%d", sha256.Sum256([]byte{byte(i)}), i))
		}
		text := []byte(strings.Repeat("2026-11-30T01:02:03Z npm http fetch GET 200 https://registry.example.test/left-pad 12ms (cache hit)\n", 1000))
		b.Run(fmt.Sprintf("%d secrets", n), func(b *testing.B) {
			w := mask.New(io.Discard, values)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, _ = w.Write(text)
			}
		})
		b.Run(fmt.Sprintf("new %d", n), func(b *testing.B) {
			for b.Loop() {
				mask.New(io.Discard, values)
			}
		})
	}
}

// Whatever the text and wherever it is cut, no secret comes through, and text
// without one is unchanged.
func FuzzWriter(f *testing.F) {
	f.Add("token-1234", "a token-1234 b", uint8(3))
	f.Add("aaaa", "aaaaaaaaa", uint8(1))
	f.Fuzz(func(t *testing.T, secret, text string, cut uint8) {
		got := through(t, []string{secret}, text, int(cut)+1)
		if len(secret) >= 4 && !strings.Contains(secret, "*") && strings.Contains(got, secret) {
			// A replacement may join what stands around it into the value again only
			// if the value has the mask's own characters.
			t.Fatalf("%q in %q", secret, got)
		}
		if got2 := through(t, nil, text, int(cut)+1); got2 != text {
			t.Fatalf("without secrets: got %q, want %q", got2, text)
		}
	})
}
