// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"strings"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
)

// Event is what the run is for.
type Event struct {
	Name    string       // empty: push
	Payload *expr.Object // github.event; nil: empty
	Action  string       // empty: that of the payload
	Ref     string       // github.ref: refs/heads/B, refs/tags/T, refs/pull/N/merge
	Paths   []string     // changed files; nil: not known, so that filters of paths hold
}

// NotTriggeredError is the error for a workflow that the event does not start.
type NotTriggeredError struct {
	Event string
	Why   string // the condition that failed
}

func (e *NotTriggeredError) Error() string {
	return "the event " + e.Event + " does not start this workflow: " + e.Why
}

const (
	dispatchEvent = "workflow_dispatch"
	callEvent     = "workflow_call"
)

func (e Event) normal() Event {
	e.Name = cmp.Or(e.Name, "push")
	if e.Payload == nil {
		e.Payload = expr.NewObject()
	}
	if e.Action == "" {
		e.Action = e.text("action")
	}
	return e
}

// text is a text in the payload; empty if it is not there.
func (e Event) text(path ...string) string {
	var v expr.Value = e.Payload
	for _, name := range path {
		o, ok := v.(*expr.Object)
		if !ok {
			return ""
		}
		v, _ = o.Get(name)
	}
	s, _ := v.(expr.String)
	return string(s)
}

// triggers says whether the event starts the workflow: nil if it does.
func (e Event) triggers(wf *workflows.Workflow) error {
	ok, why, err := wf.Triggered(workflows.Occurrence{
		Event: e.Name, Action: e.Action, Ref: e.filtered(), Paths: e.Paths,
		Workflow: cmp.Or(e.text("workflow_run", "name"), e.text("workflow", "name")),
	})
	if err == nil && !ok {
		err = &NotTriggeredError{e.Name, why}
	}
	return err
}

// filtered is the ref that the filters of branches look at.
func (e Event) filtered() string {
	var branch string
	switch {
	case strings.HasPrefix(e.Name, "pull_request"):
		branch = e.text("pull_request", "base", "ref")
	case e.Name == "workflow_run":
		branch = e.text("workflow_run", "head_branch")
	case e.Name == "merge_group":
		branch = strings.TrimPrefix(e.text("merge_group", "base_ref"), "refs/heads/")
	}
	if branch == "" {
		return e.Ref
	}
	return "refs/heads/" + branch
}

// facts are the members of the github context that follow from the event.
func (e Event) facts() []expr.Member {
	name, kind := e.Ref, ""
	if b, ok := strings.CutPrefix(e.Ref, "refs/heads/"); ok {
		name, kind = b, "branch"
	} else if t, ok := strings.CutPrefix(e.Ref, "refs/tags/"); ok {
		name, kind = t, "tag"
	} else if p, ok := strings.CutPrefix(e.Ref, "refs/pull/"); ok {
		name, kind = p, "branch"
	}
	return []expr.Member{
		{Name: "event_name", Value: expr.String(e.Name)},
		{Name: "event", Value: e.Payload},
		{Name: "ref", Value: expr.String(e.Ref)},
		{Name: "ref_name", Value: expr.String(name)},
		{Name: "ref_type", Value: expr.String(kind)},
		{Name: "head_ref", Value: expr.String(e.text("pull_request", "head", "ref"))},
		{Name: "base_ref", Value: expr.String(e.text("pull_request", "base", "ref"))},
	}
}
