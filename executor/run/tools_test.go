// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

func TestToolsOf(t *testing.T) {
	for script, want := range map[string]string{
		"npm ci":                                     "npm",
		"cd app && npm ci\ngo test ./...":            "go,npm",
		"sudo -E apt-get update":                     "debian",
		"echo npm ci":                                "",
		"echo 'npm ci'; # go test":                   "",
		"if true; then\n  X=1 /usr/bin/go build\nfi": "go",
		"x=$(cargo metadata)":                        "cargo",
		"timeout 10m env A=b pip install x":          "pypi",
		"python3 -m pip install x":                   "pypi",
		"$TOOL ci":                                   "",
		"make test":                                  "",
		"npm ci ${{ matrix.args }} && ${{ x }} go":   "npm",
		"if (":                     "",
		"cat <<E\nnpm ci\nE":       "",
		"npx tsc | tee log":        "npm",
		"f() { yarn install; }; f": "yarn",
	} {
		if got := strings.Join(run.ToolsOf(script), ","); got != want {
			t.Errorf("%q: %q, want %q", script, got, want)
		}
	}
}

func TestTemplate(t *testing.T) {
	for text, want := range map[string]string{
		"echo hi":                           "echo hi",
		"echo ${{ github.sha }}":            "echo ${{ … }}",
		"${{ github.sha }}":                 "${{ … }}",
		"a '{x}' ${{ github.sha }} it's {{": "a '{x}' ${{ … }} it's {{",
	} {
		wf, problems := workflows.Parse("w.yml", "on: push\njobs: {a: {runs-on: x, steps: [{run: \""+text+"\"}]}}\n", workflows.Options{Syntax: syntax.Options{}})
		if len(problems.Errors) > 0 {
			t.Fatal(problems.Errors)
		}
		if got := run.Template(wf.Jobs[0].Steps[0].Run); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Whatever a script is, the presets are known ones, each once.
func FuzzToolsOf(f *testing.F) {
	for _, s := range []string{"npm ci", "sudo apt-get install x && go test", "a=`pip x`", "${{ a }} {", "python -m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		got := run.ToolsOf(script)
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("%q: %q", script, got)
		}
	})
}
