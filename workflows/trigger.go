// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"fmt"
	"slices"
	"strings"
)

// Occurrence is something that happened in a repository.
type Occurrence struct {
	Event    string   // push, pull_request, …
	Action   string   // of the payload: opened, published, …; empty if it has none
	Ref      string   // refs/heads/B or refs/tags/T; for a pull request the base branch's ref
	Paths    []string // changed files; nil if they are not known
	Workflow string   // of workflow_run: the name of the one that ran; empty if it is not known
}

// Triggered says whether a workflow starts, by the filters of its events. If it does
// not, why says which condition failed.
func (w *Workflow) Triggered(o Occurrence) (start bool, why string, err error) {
	for _, e := range w.On {
		if e.Name == o.Event {
			why, err := e.refuses(o)
			return why == "" && err == nil, why, err
		}
	}
	return false, "the workflow does not have the event " + o.Event, nil
}

// refuses names the filter that is not met.
func (e Event) refuses(o Occurrence) (string, error) {
	for _, key := range []string{"branches", "tags", "paths"} {
		_, a := e.Filter(key)
		if _, b := e.Filter(key + "-ignore"); a && b {
			return "", fmt.Errorf("on.%s: you may only define one of `%s` and `%s-ignore` for a single event", e.Name, key, key)
		}
	}
	if why := e.refusesType(o); why != "" {
		return why, nil
	}
	if names, ok := e.Filter("workflows"); ok && o.Workflow != "" && !slices.Contains(names, o.Workflow) {
		return fmt.Sprintf("workflows: %q is none of %s", o.Workflow, strings.Join(names, ", ")), nil
	}
	why, isTag, err := e.refusesRef(o)
	if why != "" || err != nil || isTag || o.Paths == nil {
		return why, err
	}
	return e.refusesPaths(o.Paths)
}

func (e Event) refusesType(o Occurrence) string {
	types, ok := e.Filter("types")
	if !ok && strings.HasPrefix(e.Name, "pull_request") && !strings.Contains(e.Name, "review") && e.Name != "pull_request_comment" {
		types = []string{"opened", "synchronize", "reopened"}
	}
	if len(types) == 0 || o.Action == "" || slices.Contains(types, o.Action) {
		return ""
	}
	return fmt.Sprintf("types: %q is none of %s", o.Action, strings.Join(types, ", "))
}

// refusesRef looks at branches and tags. If only one of them has a filter, a push to the
// other does not start the workflow.
func (e Event) refusesRef(o Occurrence) (why string, isTag bool, err error) {
	branch, isBranch := strings.CutPrefix(o.Ref, "refs/heads/")
	tag, isTag := strings.CutPrefix(o.Ref, "refs/tags/")
	if !isBranch && !isTag {
		return "", false, nil
	}
	key, name, other := "branches", branch, "tags"
	if isTag {
		key, name, other = "tags", tag, "branches"
	}
	filtered := false
	for _, k := range []string{key, key + "-ignore"} {
		patterns, ok := e.Filter(k)
		if !ok {
			continue
		}
		filtered = true
		g, err := NewGlob(patterns)
		if err != nil {
			return "", isTag, fmt.Errorf("%s: %w", k, err)
		}
		if g.Match(name) == strings.HasSuffix(k, "-ignore") {
			return fmt.Sprintf("%s: %q", k, name), isTag, nil
		}
	}
	_, a := e.Filter(other)
	_, b := e.Filter(other + "-ignore")
	if !filtered && (a || b) {
		return fmt.Sprintf("only %s start it, and %s is none", other, o.Ref), isTag, nil
	}
	return "", isTag, nil
}

// refusesPaths: one changed file must match paths, or one must not match paths-ignore.
func (e Event) refusesPaths(paths []string) (string, error) {
	for _, k := range []string{"paths", "paths-ignore"} {
		patterns, ok := e.Filter(k)
		if !ok {
			continue
		}
		g, err := NewGlob(patterns)
		if err != nil {
			return "", fmt.Errorf("%s: %w", k, err)
		}
		ignore := k == "paths-ignore"
		if !slices.ContainsFunc(paths, func(p string) bool { return g.Match(p) != ignore }) {
			return k + ": no changed file counts", nil
		}
	}
	return "", nil
}
