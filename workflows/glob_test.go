// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"testing"

	"github.com/zviz/run/workflows"
)

// The patterns and names are those of GitHub's page on filter patterns.
func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patterns []string
		yes, no  []string
	}{
		{"star stops at a slash", []string{"feature/*"}, []string{"feature/my-branch"}, []string{"feature/beta-a/my-branch", "feature"}},
		{"two stars do not", []string{"feature/**"}, []string{"feature/beta-a/my-branch", "feature/x"}, []string{"features/x"}},
		{"names", []string{"main", "releases/mona-the-octocat"}, []string{"main", "releases/mona-the-octocat"}, []string{"main2"}},
		{"all without slash", []string{"*"}, []string{"main", "releases"}, []string{"all/the/branches"}},
		{"all", []string{"**"}, []string{"all/the/branches", "every/tag"}, nil},
		{"ending", []string{"*feature"}, []string{"mona-feature", "feature", "ver-10-feature"}, []string{"a/feature"}},
		{"beginning", []string{"v2*"}, []string{"v2", "v2.0", "v2.9"}, []string{"v1"}},
		{"classes", []string{"v[12].[0-9]+.[0-9]+"}, []string{"v1.10.1", "v2.0.0"}, []string{"v3.0.0", "v1..1"}},
		{"none or one", []string{"*.jsx?"}, []string{"page.js", "page.jsx"}, []string{"a/page.js", "page.jsxx"}},
		{"folder of the root", []string{"docs/*"}, []string{"docs/README.md"}, []string{"docs/a/b.md"}},
		{"anywhere", []string{"**/docs/**"}, []string{"docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"}, []string{"adocs/x"}},
		{"anywhere, a file", []string{"**/README.md"}, []string{"README.md", "js/README.md"}, []string{"xREADME.md"}},
		{"anywhere, an ending", []string{"**/*src/**"}, []string{"a/src/app.js", "my-src/code/js/app.js"}, []string{"a/x"}},
		{"taken back", []string{"*.md", "!README.md"}, []string{"hello.md"}, []string{"README.md", "docs/hello.md"}},
		{"taken back and given again", []string{"*.md", "!README.md", "README*"}, []string{"hello.md", "README.md", "README.doc"}, nil},
		{"only taken back", []string{"!main"}, nil, []string{"main", "other"}},
		{"escaped", []string{`a\*b`, `x\+`}, []string{"a*b", "x+"}, []string{"aXb", "xx"}},
		{"regexp characters are text", []string{"a.b(c)|d^$"}, []string{"a.b(c)|d^$"}, []string{"axb(c)|d^$", "d"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := workflows.NewGlob(tt.patterns)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range tt.yes {
				if !g.Match(n) {
					t.Errorf("%q does not match %q", tt.patterns, n)
				}
			}
			for _, n := range tt.no {
				if g.Match(n) {
					t.Errorf("%q matches %q", tt.patterns, n)
				}
			}
		})
	}
	for _, bad := range []string{"?a", "+", "[a", "[]", "[^a]"} {
		if _, err := workflows.NewGlob([]string{bad}); err == nil {
			t.Errorf("%q compiles", bad)
		}
	}
}
