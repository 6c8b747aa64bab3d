// SPDX-License-Identifier: Apache-2.0

package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor/inventory"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows"
)

// list is the inventory of a workflow on a machine that has bash, git and cat.
func list(t *testing.T, text string, files map[string]string) []string {
	t.Helper()
	wf, problems := workflows.Parse("ci.yml", text, workflows.Options{Open: func(uses string) (string, error) {
		if text, ok := files[uses]; ok {
			return text, nil
		}
		return "", workflows.ErrNotHere
	}})
	if len(problems.Errors) > 0 {
		t.Fatal(problems.Errors[0])
	}
	var out []string
	for _, i := range inventory.Of(t.Context(), wf, inventory.Machine{
		LookPath: func(name string) string {
			return map[string]string{"bash": "/bin/bash", "git": "/bin/git", "cat": "/bin/cat"}[name]
		},
		Load: func(_ context.Context, use job.Use, called string) (*job.Action, error) {
			return nil, errors.New("no " + use.Text + " for " + called)
		},
		Node:          func(int) (inventory.State, string) { return inventory.Fetch, "" },
		LocalCheckout: true,
		Given:         func(string) bool { return false },
	}) {
		out = append(out, fmt.Sprintf("%s %s %s: %s", i.State, i.Kind, i.Name, strings.Join(i.Used, " ")))
	}
	return out
}

func TestOf(t *testing.T) {
	const called = "on: {workflow_call: {secrets: {S: {}}}}\njobs:\n  x:\n    runs-on: ubuntu-latest\n    env: {A: '${{ secrets.S }}'}\n    steps: [{run: git x}, {uses: o/r@v1}]\n"
	files := map[string]string{"./.github/workflows/called.yml": called}
	for _, tt := range []struct {
		name, jobs string
		want       []string
	}{
		{"labels of a matrix", "a: {runs-on: '${{ matrix.os }}', strategy: {matrix: {os: [u], include: [{os: macOS-15}]}}, steps: [{run: echo}]}", []string{
			"missing label macOS-15: a", "here label u: a", "here shell bash: a/__run",
		}},
		{"labels that only a run knows", "a: {runs-on: '${{ vars.WHERE }}', steps: [{run: echo}]}", []string{
			"unknown label ${{ vars.WHERE }}: a", "here shell bash: a/__run", "give variable WHERE: a",
		}},
		{"a called workflow", "a: {uses: ./.github/workflows/called.yml, secrets: {S: '${{ secrets.OURS }}'}}", []string{
			"here label ubuntu-latest: a.x", "here workflow ./.github/workflows/called.yml: a", "missing action o/r@v1: a.x/__o_r",
			"here shell bash: a.x/__run", "here tool git: a.x/__run", "give secret OURS: a",
		}},
		{"one that inherits", "a: {uses: ./.github/workflows/called.yml, secrets: inherit}", []string{
			"here label ubuntu-latest: a.x", "here workflow ./.github/workflows/called.yml: a", "missing action o/r@v1: a.x/__o_r",
			"here shell bash: a.x/__run", "here tool git: a.x/__run", "give secret S: a.x",
		}},
		{"one that is not here", "a: {uses: o/r/.github/workflows/w.yml@v1}", []string{
			"fetch workflow o/r/.github/workflows/w.yml@v1: a",
		}},
		{"what one job brings another one lacks", "a: {runs-on: u, steps: [{uses: actions/setup-go@v5}, {run: go}]}\n  b: {runs-on: u, steps: [{run: go}]}", []string{
			"here label u: a b", "missing action actions/setup-go@v5: a/__actions_setup-go", "here shell bash: a/__run b/__run",
			"missing tool go: b/__run", "reach registry go: a/__run b/__run",
		}},
		{"shells", "a: {runs-on: u, defaults: {run: {shell: pwsh}}, steps: [{run: npm ci}, {run: no-such, shell: bash}]}", []string{
			"here label u: a", "here shell bash: a/__run_2", "missing shell pwsh: a/__run",
			"missing tool no-such: a/__run_2",
		}},
		{"all secrets", "a: {runs-on: u, env: {A: '${{ toJSON(secrets) }}'}, steps: [{run: cat}]}", []string{
			"here label u: a", "here shell bash: a/__run", "here tool cat: a/__run", "unknown secret *: a",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, list(t, "on: push\njobs:\n  "+tt.jobs+"\n", files)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
