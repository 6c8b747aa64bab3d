// SPDX-License-Identifier: Apache-2.0

package job

import (
	"strings"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
)

// scope is a list of steps that know each other: those of the job, or those of a
// composite action. The runner's mutex guards what changes in it.
type scope struct {
	prefix   string // of the ids in events
	inputs   expr.Value
	contexts []string   // that expressions may name
	secrets  bool       // they may name secrets too
	env      []Variable // of the steps around it, on top of the job's
	shell    string     // of a run step that names none
	dir      string     // the same
	action   *Action    // whose steps these are; nil for the job's own
	uses     map[*workflows.Step]*instance
	mounts   []sandbox.Mount // of the actions around it
	depth    int

	status  Conclusion // of a composite action so far
	order   []string
	results map[string]*stepRecord // by folded id
	waiting []*background
}

// stepRecord is what the steps context says about a step.
type stepRecord struct {
	id                  string
	done                bool
	outcome, conclusion Conclusion
	outputs             []Variable
	at                  map[string]int // of outputs, by folded name
	object              *expr.Object   // of outputs; nil after one was set
}

// jobContexts are those that a step's expressions may name.
func jobContexts() []string {
	return []string{"github", "inputs", "vars", "needs", "strategy", "matrix", "secrets", "steps", "job", "runner", "env"}
}

// envContexts are those that the job's env may name.
func envContexts() []string {
	return []string{"github", "inputs", "vars", "needs", "strategy", "matrix", "secrets"}
}

// actionContexts are those of the steps of a composite action.
func actionContexts() []string {
	return []string{"github", "inputs", "strategy", "matrix", "steps", "job", "runner", "env"}
}

func hidden(id string) bool { return strings.HasPrefix(id, "__") }

// record returns what is known of a step; nil if its id is hidden. The caller
// holds the mutex.
func (sc *scope) record(id string) *stepRecord {
	if id == "" || hidden(id) {
		return nil
	}
	key := expr.Fold(id)
	rec := sc.results[key]
	if rec == nil {
		rec = &stepRecord{id: id}
		sc.results[key] = rec
		sc.order = append(sc.order, key)
	}
	return rec
}

// output sets an output. The caller holds the mutex.
func (rec *stepRecord) output(v Variable) {
	key := expr.Fold(v.Name)
	rec.object = nil
	if i, ok := rec.at[key]; ok {
		rec.outputs[i].Value = v.Value
		return
	}
	if rec.at == nil {
		rec.at = map[string]int{}
	}
	rec.at[key] = len(rec.outputs)
	rec.outputs = append(rec.outputs, v)
}

// stepsContext is the steps context.
func (r *runner) stepsContext(sc *scope) *expr.Object {
	r.mu.Lock()
	defer r.mu.Unlock()
	var members []expr.Member
	for _, key := range sc.order {
		rec := sc.results[key]
		if rec.object == nil {
			rec.object = textObject(rec.outputs)
		}
		fields := []expr.Member{{Name: "outputs", Value: rec.object}}
		if rec.done {
			fields = append(fields, expr.Member{Name: "outcome", Value: expr.String(rec.outcome)}, expr.Member{Name: "conclusion", Value: expr.String(rec.conclusion)})
		}
		members = append(members, expr.Member{Name: rec.id, Value: expr.NewObject(fields...)})
	}
	return expr.NewObject(members...)
}

func textObject(list []Variable) *expr.Object {
	members := make([]expr.Member, 0, len(list))
	for _, v := range list {
		members = append(members, expr.Member{Name: v.Name, Value: expr.String(v.Value)})
	}
	return expr.NewObject(members...)
}

// runnerContext is the runner context.
func (r *runner) runnerContext() []Variable {
	list := []Variable{
		{"os", "Linux"},
		{"arch", architecture()},
		{"name", r.q.Runner.Name},
		{"environment", r.q.Runner.Environment},
		{"tool_cache", executor.ToolCache},
		{"temp", tempDir},
		{"workspace", executor.RunnerWork + "/" + r.repo},
	}
	if r.q.Runner.Debug {
		list = append(list, Variable{"debug", "1"})
	}
	return list
}

// githubContext is the github context of a step: what the request says, and what the
// engine knows better.
func (r *runner) githubContext(v view) *expr.Object {
	better := []Variable{{"workspace", r.workspace}, {"event_path", eventFile}}
	if v.step != nil {
		better = append(better, v.step.facts()...)
	}
	var members []expr.Member
	seen := map[string]bool{}
	for _, b := range better {
		seen[b.Name] = true
		members = append(members, expr.Member{Name: b.Name, Value: expr.String(b.Value)})
	}
	for name, value := range r.github.All() {
		if !seen[name] {
			members = append(members, expr.Member{Name: name, Value: value})
		}
	}
	return expr.NewObject(members...)
}

// exported are the members of the github context that become variables.
func exported() []string {
	return strings.Fields(`action action_path action_ref action_repository actor actor_id api_url base_ref env event_name
		event_path graphql_url head_ref job output path ref ref_name ref_protected ref_type repository repository_id
		repository_owner repository_owner_id retention_days run_attempt run_id run_number server_url sha state step_summary
		triggering_actor workflow workflow_ref workflow_sha workspace`)
}

// contextVariables are the variables that nothing of the job's can change.
func (r *runner) contextVariables(v view) map[string]string {
	env := map[string]string{"GITHUB_ACTIONS": "true", "RUNNER_TRACKING_ID": "github_" + r.repo}
	github := r.githubContext(v)
	for _, name := range exported() {
		switch value, _ := github.Get(name); value := value.(type) {
		case expr.String:
			env["GITHUB_"+strings.ToUpper(name)] = string(value)
		case expr.Bool:
			env["GITHUB_"+strings.ToUpper(name)] = expr.ToString(value)
		}
	}
	for _, m := range r.runnerContext() {
		env["RUNNER_"+strings.ToUpper(m.Name)] = m.Value
	}
	return env
}
