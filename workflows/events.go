// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"slices"
	"strings"

	"github.com/zviz/run/workflows/syntax"
)

// Event is something that starts the workflow.
type Event struct {
	Name     string
	Pos      syntax.Pos
	Filters  []Filter // in GitHub's order
	Inputs   []Input  // of workflow_dispatch and workflow_call
	Secrets  []Input  // of workflow_call
	Schedule []Schedule
}

// Filter is a condition of an event: branches, tags-ignore, types and so on.
type Filter struct {
	Key      string
	Patterns []string
}

// Filter returns the patterns of a filter; false if the event has none of that name.
func (e Event) Filter(key string) ([]string, bool) {
	for _, f := range e.Filters {
		if f.Key == key {
			return f.Patterns, true
		}
	}
	return nil, false
}

// Input is a value that a run is given, or a secret.
type Input struct {
	Name        string
	Type        string // boolean, number, string, choice, environment
	Description *syntax.Token
	Required    *syntax.Token
	Default     *syntax.Token
	Options     []string
}

// Schedule is a time at which the workflow starts.
type Schedule struct{ Cron, Timezone string }

func (c *converter) events(t *syntax.Token) []Event {
	switch t.Kind {
	case syntax.String:
		return []Event{{Name: t.Text, Pos: t.Pos}}
	case syntax.Sequence:
		var list []Event
		for _, i := range t.Items {
			if !c.want(i, syntax.String, "on") {
				return nil
			}
			list = append(list, Event{Name: i.Text, Pos: i.Pos})
		}
		return list
	case syntax.Mapping:
		var list []Event
		for _, p := range t.Pairs {
			list = append(list, c.event(p.Key, p.Value))
		}
		return list
	default:
		c.error(t, "Invalid format for 'on'")
		return nil
	}
}

func (c *converter) event(key, t *syntax.Token) Event {
	e := Event{Name: key.Text, Pos: key.Pos}
	switch {
	case t.Kind == syntax.Sequence:
		for _, i := range t.Items {
			e.Schedule = append(e.Schedule, c.schedule(i))
		}
	case key.Text == "workflow_dispatch":
		c.warnUnknown(t, "inputs")
		e.Inputs = c.inputs(t.Get("inputs"))
		if len(e.Inputs) > maxDispatchInputs {
			c.warn(t, "%d inputs: GitHub takes at most %d", len(e.Inputs), maxDispatchInputs)
		}
	case key.Text == callEvent:
		e.Inputs, e.Secrets = c.inputs(t.Get("inputs")), c.inputs(t.Get("secrets"))
	default:
		e.Filters = c.filters(t)
	}
	return e
}

const maxDispatchInputs = 25

// warnUnknown tells of keys that GitHub ignores.
func (c *converter) warnUnknown(t *syntax.Token, known ...string) {
	for _, p := range t.Pairs {
		if !slices.Contains(known, p.Key.Text) {
			c.warn(p.Key, "unknown key %q, which GitHub ignores", p.Key.Text)
		}
	}
}

func (c *converter) schedule(t *syntax.Token) Schedule {
	s := Schedule{Cron: t.Get("cron").String(), Timezone: t.Get("timezone").String()}
	if cron := t.Get("cron"); cron != nil && !ValidCron(cron.Text) {
		c.error(cron, "Invalid cron expression. Expected format: '* * * * *' (minute hour day month weekday)")
	}
	return s
}

// filters are in the order in which GitHub lists them.
func (c *converter) filters(t *syntax.Token) []Filter {
	var list []Filter
	for _, group := range []string{"branches", "tags", "paths", "types", "versions", "names", "workflows"} {
		n := len(list)
		for _, p := range t.Pairs {
			if strings.TrimSuffix(p.Key.Text, "-ignore") != group {
				continue
			}
			patterns := []string{p.Value.Text}
			if p.Value.Kind == syntax.Sequence {
				patterns = make([]string, len(p.Value.Items))
				for i, v := range p.Value.Items {
					patterns[i] = v.Text
				}
			}
			list = append(list, Filter{p.Key.Text, patterns})
		}
		if len(list)-n > 1 {
			c.warn(t, "%s and %s-ignore of one event: GitHub takes only one of them", group, group)
		}
	}
	return list
}

func (c *converter) inputs(t *syntax.Token) []Input {
	if t == nil {
		return nil
	}
	var list []Input
	for _, p := range t.Pairs {
		in := Input{Name: p.Key.Text, Type: "string"}
		if typ := p.Value.Get("type"); typ != nil {
			in.Type = typ.Text
		}
		in.Description, in.Required, in.Default = p.Value.Get("description"), p.Value.Get("required"), p.Value.Get("default")
		options := p.Value.Get("options")
		if options != nil {
			for _, o := range options.Items {
				in.Options = append(in.Options, o.Text)
			}
		}
		switch {
		case in.Type == "choice" && len(in.Options) == 0:
			c.warn(p.Key, "input %q of type choice has no options", in.Name)
		case in.Type != "choice" && options != nil:
			c.warn(p.Key, "input %q has options, but is not of type choice", in.Name)
		}
		list = append(list, in)
	}
	return list
}
