// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"fmt"
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
