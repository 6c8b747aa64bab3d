// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows"
)

// TestNestedCall: what a called workflow of another repository calls ./ is of that one.
func TestNestedCall(t *testing.T) {
	call := func(uses string) string { return "on: workflow_call\njobs: {a: {uses: " + uses + "}}\n" }
	files := map[string]string{
		"./.github/workflows/one.yml":                call("./.github/workflows/two.yml"),
		"./.github/workflows/two.yml":                call("o/r/.github/workflows/three.yml@v1"),
		"o/r/.github/workflows/three.yml@v1":         call("./.github/workflows/four.yml"),
		"o/r/.github/workflows/four.yml@v1":          call("$/.github/workflows/five.yml"),
		"o/r/.github/workflows/five.yml@v1":          call("x/y/.github/workflows/six.yml@refs/heads/a"),
		"x/y/.github/workflows/six.yml@refs/heads/a": call("./.github/workflows/end.yml"),
		"x/y/.github/workflows/end.yml@refs/heads/a": "on: workflow_call\njobs: {a: {runs-on: x, steps: [{run: x}]}}\n",
	}
	var asked []string
	_, problems := workflows.Parse("ci.yml", "on: push\njobs: {a: {uses: ./.github/workflows/one.yml}}\n", workflows.Options{Open: func(uses string) (string, error) {
		asked = append(asked, uses)
		text, ok := files[uses]
		if !ok {
			return "", fmt.Errorf("no file %s", uses)
		}
		return text, nil
	}})
	if len(problems.Errors) > 0 {
		t.Error(problems.Errors)
	}
	want := []string{
		"./.github/workflows/one.yml", "./.github/workflows/two.yml", "o/r/.github/workflows/three.yml@v1", "o/r/.github/workflows/four.yml@v1",
		"o/r/.github/workflows/five.yml@v1", "x/y/.github/workflows/six.yml@refs/heads/a", "x/y/.github/workflows/end.yml@refs/heads/a",
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The words are those that GitHub says of such a reference.
func TestWrongReference(t *testing.T) {
	for _, tt := range []struct{ uses, want string }{
		{"./.github/workflows/c.yml", ""},
		{"./.gitea/workflows/c.yaml", ""},
		{"$/.github/workflows/c.yml", ""},
		{"o/r/.github/workflows/c.yml@v1", ""},
		{"o/r/.github/workflows/c.yml@refs/heads/a@b", ""},
		{"./c.yml", "must be rooted in '.github/workflows'"},
		{"./.github/c.yml", "must be rooted in '.github/workflows'"},
		{"./sub/.github/workflows/c.yml", "must be rooted in '.github/workflows'"},
		{"o/r/c.yml@v1", "must be rooted in '.github/workflows'"},
		{"./.github/workflows/sub/c.yml", "must be defined at the top level"},
		{"./.github/workflows/../../c.yml", "must be defined at the top level"},
		{"./.github/workflows/c.yml@v1", "cannot specify version when calling local workflows"},
		{"o/r/.github/workflows/c.yml", "no version specified"},
		{"o/r/.github/workflows/c.yml@", "no version specified"},
		{"./.github/workflows/c.json", "'.yml' or '.yaml' file extension"},
		{"./.github/workflows/", "'.yml' or '.yaml' file extension"},
		{"c.yml", "prefixed with format 'owner/repo/' or './'"},
		{"o/r@v1", "prefixed with format 'owner/repo/' or './'"},
		{"/o/r/c.yml@v1", "prefixed with format 'owner/repo/' or './'"},
	} {
		t.Run(tt.uses, func(t *testing.T) {
			opened := false
			_, p := workflows.Parse("f.yml", "on: push\njobs: {j: {uses: '"+tt.uses+"'}}\n", workflows.Options{Open: func(string) (string, error) {
				opened = true
				return "on: workflow_call\njobs: {j: {runs-on: x, steps: [{run: y}]}}\n", nil
			}})
			switch {
			case tt.want == "" && len(p.Errors) > 0:
				t.Error(p.Errors[0])
			case tt.want != "" && (opened || len(p.Errors) != 1 || !strings.Contains(p.Errors[0].Error(), tt.want)):
				t.Errorf("opened %v, %v", opened, p.Errors)
			}
		})
	}
}

// TestManyCalls: the limit is of different files (YamlTemplateLoader.cs).
func TestManyCalls(t *testing.T) {
	read := func(uses func(i int) string) []error {
		var b strings.Builder
		b.WriteString("on: push\njobs:\n")
		for i := range 51 {
			fmt.Fprintf(&b, "  j%d: {uses: %s}\n", i, uses(i))
		}
		_, p := workflows.Parse(".github/workflows/f.yml", b.String(), workflows.Options{Open: func(string) (string, error) {
			return "on: workflow_call\njobs: {j: {runs-on: x, steps: [{run: y}]}}\n", nil
		}})
		var list []error
		for _, e := range p.Errors {
			list = append(list, e)
		}
		return list
	}
	if errs := read(func(i int) string { return fmt.Sprintf("./.github/workflows/%s.yml", []string{"c", "C"}[i%2]) }); len(errs) > 0 {
		t.Errorf("one file, many times: %v", errs)
	}
	errs := read(func(i int) string { return fmt.Sprintf("./.github/workflows/c%d.yml", i) })
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "The maximum file count of 51 has been exceeded") {
		t.Errorf("51 files and their caller: %v", errs)
	}
}

func TestCalledWithoutEvents(t *testing.T) {
	_, p := workflows.Parse("f.yml", "on: push\njobs: {j: {uses: ./.github/workflows/c.yml, with: {a: 1}}}\n", workflows.Options{Open: func(string) (string, error) {
		return "jobs: {j: {runs-on: x, steps: [{run: y}]}}\n", nil
	}})
	if len(p.Errors) != 1 || !strings.Contains(p.Errors[0].Error(), "workflow_call key is not defined in the referenced workflow.") {
		t.Error(p.Errors)
	}
}
