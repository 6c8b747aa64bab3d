// SPDX-License-Identifier: Apache-2.0

package actions_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor/actions"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

// TestCalled runs a workflow of another repository: what it calls ./ and $/ is of its
// repository, and its lock file counts for its steps.
func TestCalled(t *testing.T) {
	f := newForge(t)
	composite := func(text string) map[string]string {
		return map[string]string{"action.yml": "name: x\nruns: {using: composite, steps: [{shell: bash, run: echo " + text + "}]}\n"}
	}
	locked := f.commit("octo/tool", []string{"v1"}, composite("locked tool"))
	f.commit("octo/tool", []string{"v1"}, composite("moved tool"))
	f.commit("octo/shared", []string{"v1"}, map[string]string{
		".github/workflows/build.yml": "on: workflow_call\njobs:\n  build: {uses: ./.github/workflows/inner.yml}\n",
		".github/workflows/inner.yml": "on: workflow_call\njobs:\n  deep:\n    runs-on: x\n    steps: [{uses: $/tools/say}, {uses: octo/tool@v1}]\n",
		".github/workflows/actions.lock": "version: v0.0.2\nworkflows:\n  .github/workflows/inner.yml: ['octo/tool@v1']\ndependencies:\n" +
			"  octo/tool@v1: {ref: v1, commit: sha1-" + locked + ", owner_id: 1, repo_id: 1}\n",
		"tools/say/action.yml": "name: say\nruns: {using: composite, steps: [{shell: bash, run: 'echo \"${{ github.action_repository }}\"'}]}\n",
	})
	own := t.TempDir()
	if err := os.MkdirAll(own+"/.github/workflows", 0o755); err != nil {
		t.Fatal(err)
	}
	// It must not be taken for that of the called one.
	if err := os.WriteFile(own+"/.github/workflows/inner.yml", []byte("on: workflow_call\njobs: {wrong: {runs-on: x, steps: [{run: echo wrong}]}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := actions.NewSource(f.open, nil)
	defer s.Close()
	wf, problems := workflows.Parse("ci.yml", "on: push\njobs:\n  call: {uses: octo/shared/.github/workflows/build.yml@v1}\n  tool: {needs: call, runs-on: x, steps: [{uses: octo/tool@v1}]}\n",
		workflows.Options{Open: s.Opener(t.Context(), os.DirFS(own))})
	if len(problems.Errors)+len(problems.Warnings) > 0 {
		t.Fatal(problems)
	}
	p, err := plan.New(wf, plan.Options{Event: plan.Event{Name: "push", Ref: "refs/heads/main"}, GitHub: []expr.Member{{Name: "repository", Value: expr.String("octo/hello")}}})
	if err != nil {
		t.Fatal(err)
	}
	var rec record
	for {
		if conclusion, done := p.Done(); done {
			if conclusion != plan.Success {
				t.Errorf("%s\n%s", conclusion, rec.log())
			}
			break
		}
		j := p.Next()
		if err := p.Started(j.ID); err != nil {
			t.Fatal(err)
		}
		q, err := job.FromPlan(j, func(_, _ string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		q.Cell, q.Emit = openCell(t), rec.add
		q.Actions = s.For(actions.Origin{Repository: "octo/hello", Dir: own, File: "ci.yml", Called: j.Workflow, Files: wf.Files})
		res, err := job.Run(t.Context(), q)
		if err != nil {
			t.Error(err)
		}
		if err := p.Finish(j.ID, res.Plan()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"octo/shared", "locked tool", "moved tool"}, rec.stdout); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, rec.log())
	}
	// Without a cache it is not here, which is no error of the file.
	alone := actions.NewSource(nil, nil)
	_, problems = workflows.Parse("ci.yml", "on: push\njobs:\n  call: {uses: octo/shared/.github/workflows/build.yml@v1}\n", workflows.Options{Open: alone.Opener(t.Context(), os.DirFS(own))})
	if len(problems.Errors) > 0 || len(problems.Warnings) != 1 {
		t.Error(problems)
	}
	for uses, want := range map[string]string{
		"octo/shared/.github/workflows/none.yml@v1":  "none.yml",
		"octo/shared/.github/workflows/build.yml@v9": "has no branch, tag or commit of that name",
		"octo/none/.github/workflows/build.yml@v1":   "there is no repository",
		"./.github/workflows/none.yml":               "none.yml",
	} {
		_, problems := workflows.Parse("ci.yml", "on: push\njobs:\n  call: {uses: "+uses+"}\n", workflows.Options{Open: s.Opener(t.Context(), os.DirFS(own))})
		if len(problems.Errors) != 1 || !strings.Contains(problems.Errors[0].Error(), want) {
			t.Errorf("%s: %v", uses, problems.Errors)
		}
	}
}
