// SPDX-License-Identifier: Apache-2.0

package job

import (
	"strconv"
	"strings"
	"time"

	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/plan"
)

// FromPlan is the request for a job of a run. The cell, the runner, the actions and
// Emit are the caller's to add. own returns secrets.
func FromPlan(j *plan.Job, own plan.Own) (Request, error) {
	q := Request{
		Steps: j.Steps, Contexts: j.Contexts, Outputs: j.Outputs,
		Environment: j.Environment.Name, EnvironmentURL: j.Environment.URL,
		Defaults: Defaults{Shell: Text(j.Defaults.Shell), Dir: Text(j.Defaults.Dir)},
		Timeout:  time.Duration(j.Timeout) * time.Minute, CancelTimeout: time.Duration(j.Grace) * time.Minute,
	}
	for _, v := range j.Env {
		q.Env = append(q.Env, Setting{v.Name, Text(v.Text)})
	}
	if j.Secrets == nil {
		return q, nil
	}
	for _, name := range append(j.Secrets.Names(), "GITHUB_TOKEN") {
		value, err := j.Secrets.Value(name, own)
		if err != nil {
			return Request{}, err
		}
		if value != "" {
			q.Secrets = append(q.Secrets, Variable{name, value})
		}
	}
	return q, nil
}

// Plan is the result as the plan of a run takes it.
func (r Result) Plan() plan.Result {
	out := plan.Result{Conclusion: plan.Conclusion(r.Conclusion), TimedOut: r.TimedOut}
	for _, o := range r.Outputs {
		out.Outputs = append(out.Outputs, plan.Output(o))
	}
	return out
}

// FromManifest is an action as its manifest says; dir is where that one is inside.
func FromManifest(m *action.Manifest, dir string) *Action {
	a := &Action{
		Using: Using(m.Runs.Kind), Dir: dir, Main: m.Runs.Main, Pre: m.Runs.Pre, Post: m.Runs.Post,
		PreIf: m.Runs.PreIf, PostIf: m.Runs.PostIf, Steps: m.Runs.Steps,
	}
	if a.Using == Node {
		a.NodeVersion, _ = strconv.Atoi(strings.TrimPrefix(strings.ToLower(m.Runs.Using), "node")) // the reader knows no other form
	}
	for _, i := range m.Inputs {
		a.Inputs = append(a.Inputs, Input{Name: i.Name, Default: i.Default, Deprecation: i.Deprecation})
	}
	for _, o := range m.Outputs {
		a.Outputs = append(a.Outputs, Output{Name: o.Name, Value: o.Value})
	}
	return a
}
