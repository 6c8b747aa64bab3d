// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/executor/run"
)

func TestProgramsOf(t *testing.T) {
	for script, want := range map[string]string{
		"make test":                                         "make",
		"cd x && ./configure; echo y":                       "",
		"f() { jq .; }; f | tee log":                        "jq tee",
		"sudo -E apt-get install -y zip":                    "apt-get; zip",
		"command -v gh || true":                             "",
		"$TOOL x; ${{ matrix.cc }} y.c":                     "",
		"npm install -g tsx@4 && tsx x":                     "npm tsx; tsx",
		"go install example.com/cmd/stringer@v1\nstringer":  "go stringer; stringer",
		"x=$(git rev-parse HEAD) y=`hg id`":                 "git hg",
		"if (":                                              "",
		"python -m pip install build==1 && python -m build": "build pip; build",
	} {
		programs, installs := run.ProgramsOf(script)
		got := strings.Join(programs, " ")
		if len(installs) > 0 {
			got += "; " + strings.Join(installs, " ")
		}
		if got != want {
			t.Errorf("%q: %q, want %q", script, got, want)
		}
	}
}

// Whatever a script is, the names are looked up in PATH, each once.
func FuzzProgramsOf(f *testing.F) {
	for _, s := range []string{"make", "npm i x/y@1", "${{ a }} b", "f() { f; }", "a/b c", "i add .", "()0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		programs, installs := run.ProgramsOf(script)
		for _, list := range [][]string{programs, installs} {
			if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
				t.Errorf("%q: %q", script, list)
			}
		}
		for _, p := range programs {
			if p == "" || strings.Contains(p, "/") {
				t.Errorf("%q: %q", script, p)
			}
		}
	})
}
