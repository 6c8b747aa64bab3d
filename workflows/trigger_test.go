// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"strings"
	"testing"

	"github.com/zviz/run/workflows"
)

func TestTriggered(t *testing.T) {
	type o = workflows.Occurrence
	for _, tt := range []struct {
		name, on string
		what     o
		want     bool
	}{
		{"no filter", "push", o{Event: "push", Ref: "refs/heads/x"}, true},
		{"another event", "[push]", o{Event: "release"}, false},
		{"a branch", "{push: {branches: [main, 'r/**']}}", o{Event: "push", Ref: "refs/heads/r/1/2"}, true},
		{"another branch", "{push: {branches: main}}", o{Event: "push", Ref: "refs/heads/dev"}, false},
		{"an ignored branch", "{push: {branches-ignore: [dev*]}}", o{Event: "push", Ref: "refs/heads/dev2"}, false},
		{"only branches, a tag", "{push: {branches: ['**']}}", o{Event: "push", Ref: "refs/tags/v1"}, false},
		{"only tags, a branch", "{push: {tags: ['**']}}", o{Event: "push", Ref: "refs/heads/main"}, false},
		{"neither, a tag", "{push: {paths: ['a']}}", o{Event: "push", Ref: "refs/tags/v1", Paths: []string{"b"}}, true},
		{"one path counts", "{push: {paths: ['src/**']}}", o{Event: "push", Ref: "refs/heads/main", Paths: []string{"README", "src/a"}}, true},
		{"no path counts", "{push: {paths: ['src/**', '!src/doc/**']}}", o{Event: "push", Ref: "refs/heads/main", Paths: []string{"src/doc/a"}}, false},
		{"all paths ignored", "{push: {paths-ignore: ['*.md']}}", o{Event: "push", Ref: "refs/heads/main", Paths: []string{"a.md", "b.md"}}, false},
		{"not all ignored", "{push: {paths-ignore: ['*.md']}}", o{Event: "push", Ref: "refs/heads/main", Paths: []string{"a.md", "b.c"}}, true},
		{"default types", "pull_request", o{Event: "pull_request", Action: "closed"}, false},
		{"default types, opened", "{pull_request: {branches: [main]}}", o{Event: "pull_request", Action: "opened", Ref: "refs/heads/main"}, true},
		{"types", "{pull_request: {types: closed}}", o{Event: "pull_request", Action: "closed"}, true},
		{"another workflow ran", "{workflow_run: {workflows: [ci, lint]}}", o{Event: "workflow_run", Workflow: "docs"}, false},
		{"this workflow ran", "{workflow_run: {workflows: [ci, lint]}}", o{Event: "workflow_run", Workflow: "lint"}, true},
		{"which workflow ran is not known", "{workflow_run: {workflows: ci}}", o{Event: "workflow_run"}, true},
		{"all types", "issues", o{Event: "issues", Action: "closed"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wf, p := workflows.Parse("f.yml", "on: "+tt.on+"\njobs: {j: {runs-on: x, steps: [{run: y}]}}\n", workflows.Options{})
			if wf == nil {
				t.Fatal(p.Errors[0])
			}
			got, why, err := wf.Triggered(tt.what)
			if err != nil || got != tt.want || got == (why != "") {
				t.Errorf("%v (%s) %v, want %v", got, why, err, tt.want)
			}
		})
	}
}

// TestBothFilters: GitHub refuses a filter and its -ignore for one event, though its
// reader of the file takes them.
func TestBothFilters(t *testing.T) {
	for _, key := range []string{"branches", "tags", "paths"} {
		on := "on: {push: {" + key + ": [a], " + key + "-ignore: [b]}}"
		wf, p := workflows.Parse("f.yml", on+"\njobs: {j: {runs-on: x, steps: [{run: y}]}}\n", workflows.Options{})
		if wf == nil {
			t.Fatal(p.Errors[0])
		}
		start, _, err := wf.Triggered(workflows.Occurrence{Event: "push", Ref: "refs/heads/a", Paths: []string{"a"}})
		if start || err == nil || !strings.Contains(err.Error(), "only define one of `"+key+"` and `"+key+"-ignore`") {
			t.Errorf("%s: %v %v", key, start, err)
		}
	}
}
