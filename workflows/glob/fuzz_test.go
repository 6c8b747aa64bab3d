// SPDX-License-Identifier: Apache-2.0

package glob_test

import (
	"testing"

	"github.com/zviz/run/workflows/glob"
)

// FuzzParse: what is found is what the patterns match, each once.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"**/go.sum\n!vendor/**", "[a-", "[]-a]", `\`, "~", "a/**/b/**/c", "**********a", "!", "[^]", "/**"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := glob.Parse([]string{text}, "/w", "/h")
		if err != nil {
			return
		}
		got, err := p.Files(t.Context(), tree())
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, name := range got {
			if found[name] {
				t.Errorf("%q: %s twice", text, name)
			}
			found[name] = true
		}
		for name := range tree() {
			if found[name] && !p.Match(name) {
				t.Errorf("%q: found %s, which does not match", text, name)
			}
		}
	})
}
