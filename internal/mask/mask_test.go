// SPDX-License-Identifier: Apache-2.0

package mask_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
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
		{"twice in a row", secret + secret, "******"},
		{"nothing", "no such thing", "no such thing"},
		{"start only", secret[:6], secret[:6]},
		{"start, then all", secret[:6] + secret, secret[:6] + "***"},
		{"hex", hex.EncodeToString([]byte(secret)), "***"},
		{"URL", "?q=" + url.QueryEscape(secret), "?q=***"},
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
