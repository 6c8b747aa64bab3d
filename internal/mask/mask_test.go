// SPDX-License-Identifier: Apache-2.0

package mask_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
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
	for _, value := range []string{"one: {\n\t  line two \r\n}", "line two\n", " line two"} {
		if got := through(t, []string{value}, "<line two>", 3); got != "<***>" {
			t.Errorf("a line of %q without the blanks around it: %q", value, got)
		}
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

// naive hides what any form of the values covers, by looking for each at each place.
func naive(values []string, text string) string {
	covered := make([]bool, len(text))
	for _, n := range mask.Needles(values) {
		for from := 0; ; from++ {
			i := strings.Index(text[from:], n)
			if i < 0 {
				break
			}
			from += i
			for j := range len(n) {
				covered[from+j] = true
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
	return want.String()
}

// FuzzOverlap: what is left is what no form of a value covers.
func FuzzOverlap(f *testing.F) {
	f.Add("abcdef", "defghi", "xabcdefghix", uint8(2))
	f.Add("aaaa", "aaab", "aaaaaaab", uint8(0))
	f.Add("a-long-secret-of-some-kind", "secret-of-some-kind-too", "xx a-long-secret-of-some-kind-too a-long-secret-of-some-kine", uint8(6))
	f.Fuzz(func(t *testing.T, a, b, text string, cut uint8) {
		values := []string{a, b}
		if got, want := through(t, values, text, int(cut)+1), naive(values, text); got != want {
			t.Errorf("%q, %q in %q, cut at %d: got %q, want %q", a, b, text, cut, got, want)
		}
	})
}

// TestPieces is FuzzOverlap with texts that are made of pieces of the forms of many
// values, cut anywhere.
func TestPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func(alphabet string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	hidden := 0
	for round := range 3000 {
		alphabet := []string{"ab", "abcdef0123456789", "ab\"&+/%\n'<", "abcdefghijklmnopqrstuvwxyz"}[round%4]
		var values []string
		for range 1 + random.IntN(6) {
			v := word(alphabet, 4+random.IntN(30))
			if len(values) > 0 && random.IntN(2) == 0 { // begins as another one does
				v = values[0][:random.IntN(len(values[0]))] + v
			}
			values = append(values, v)
		}
		forms := mask.Needles(values)
		var text strings.Builder
		for range 40 {
			n := forms[random.IntN(len(forms))]
			from := 0
			if random.IntN(4) == 0 {
				from = random.IntN(len(n))
			}
			to := len(n)
			if random.IntN(3) > 0 {
				to = from + random.IntN(len(n)-from+1)
			}
			text.WriteString(n[from:to])
			if random.IntN(3) == 0 {
				text.WriteString(word(alphabet+"\n ", random.IntN(20)))
			}
		}
		want := naive(values, text.String())
		var got strings.Builder
		w := mask.New(&got, values)
		for rest := text.String(); rest != ""; {
			n := min(1+random.IntN(1+random.IntN(200)), len(rest))
			_, _ = w.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		_ = w.Flush()
		if got.String() != want {
			t.Fatalf("%q in %q:\ngot  %q\nwant %q", values, text.String(), got.String(), want)
		}
		hidden += w.Count()
	}
	if hidden < 10000 {
		t.Errorf("only %d places were hidden", hidden)
	}
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
