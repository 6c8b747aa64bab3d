// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"strings"

	"github.com/zviz/run/workflows/expr"
)

// Within are the contexts of a step: those of its job and what the runner adds. Names are
// in lower case. The secrets are an object of those that the step may have.
func (j *Job) Within(more expr.Values) expr.Values {
	all := maps.Clone(j.Contexts)
	maps.Copy(all, more)
	return all
}

// StepResult is what came of a step.
type StepResult struct {
	ID                  string
	Outcome, Conclusion Conclusion // they differ if the failure is tolerated
	Outputs             []Output
}

// Steps is the steps context. Steps without an id of their own are not in it: theirs
// begin with __ (IdBuilder.cs).
func Steps(list []StepResult) *expr.Object {
	var members []expr.Member
	for _, s := range list {
		if s.ID == "" || strings.HasPrefix(s.ID, "__") {
			continue
		}
		members = append(members, expr.Member{Name: s.ID, Value: expr.NewObject(
			expr.Member{Name: "outputs", Value: texts(s.Outputs)},
			expr.Member{Name: "outcome", Value: expr.String(s.Outcome)},
			expr.Member{Name: "conclusion", Value: expr.String(s.Conclusion)},
		)})
	}
	return expr.NewObject(members...)
}

// texts is an object of texts; the last of a name counts.
func texts(list []Output) *expr.Object { return expr.NewObject(lastFirst(list)...) }

// lastFirst keeps the last of a name, for an object keeps the first.
func lastFirst(list []Output) []expr.Member {
	at := map[string]int{}
	var members []expr.Member
	for _, o := range list {
		if i, ok := at[o.Name]; ok {
			members[i].Value = expr.String(o.Value)
			continue
		}
		at[o.Name] = len(members)
		members = append(members, expr.Member{Name: o.Name, Value: expr.String(o.Value)})
	}
	return members
}

// Env is the env context, whose names differ in case too. The last of a name counts.
func Env(list []Output) *expr.Object { return expr.NewExactObject(lastFirst(list)...) }

// Runner is the runner context. What is empty is not in it.
type Runner struct {
	Name, OS, Arch, Environment, Temp, ToolCache, Workspace string
	Debug                                                   bool
}

// Context is the value of the context.
func (r Runner) Context() *expr.Object {
	list := []Output{
		{"os", r.OS},
		{"arch", r.Arch},
		{"name", r.Name},
		{"environment", r.Environment},
		{"tool_cache", r.ToolCache},
		{"temp", r.Temp},
		{"workspace", r.Workspace},
	}
	if r.Debug {
		list = append(list, Output{"debug", "1"})
	}
	return expr.NewObject(known(list)...)
}

func known(list []Output) []expr.Member {
	var members []expr.Member
	for _, o := range list {
		if o.Value != "" {
			members = append(members, expr.Member{Name: o.Name, Value: expr.String(o.Value)})
		}
	}
	return members
}

// Progress is the job context.
type Progress struct {
	Status             Conclusion // so far
	Container, Network string     // of a job in a container: their ids
	Services           []ServiceFacts
}

// ServiceFacts are what the job context says about a service.
type ServiceFacts struct {
	Name, ID, Network string
	Ports             []Output // in the container, on the host
}

// Context is the value of the context.
func (p Progress) Context() *expr.Object {
	members := []expr.Member{{Name: "status", Value: expr.String(p.Status)}}
	if p.Container != "" {
		members = append(members, expr.Member{Name: "container", Value: expr.NewObject(known([]Output{{"id", p.Container}, {"network", p.Network}})...)})
	}
	var services []expr.Member
	for _, s := range p.Services {
		facts := append(known([]Output{{"id", s.ID}}), expr.Member{Name: "ports", Value: texts(s.Ports)})
		services = append(services, expr.Member{Name: s.Name, Value: expr.NewObject(append(facts, known([]Output{{"network", s.Network}})...)...)})
	}
	if len(services) > 0 {
		members = append(members, expr.Member{Name: "services", Value: expr.NewObject(services...)})
	}
	return expr.NewObject(members...)
}

// StepFunctions are the status functions of a step, which look at its job so far. Within
// a composite action it is the action's own status that counts.
func StepFunctions(status Conclusion) map[string]expr.Func {
	is := func(want Conclusion) expr.Func {
		return func([]expr.Value) (expr.Value, error) { return expr.Bool(status == want), nil }
	}
	return map[string]expr.Func{
		expr.Always:    func([]expr.Value) (expr.Value, error) { return expr.Bool(true), nil },
		expr.Success:   is(Success),
		expr.Failure:   is(Failure),
		expr.Cancelled: is(Cancelled),
	}
}
