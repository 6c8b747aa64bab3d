// SPDX-License-Identifier: Apache-2.0

package run

import (
	"slices"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/plan"
)

// rootNeeded is said of a step that failed and starts a program which installs packages:
// its own words are about a folder that is not there, or a lock.
const rootNeeded = "installing packages of the distribution takes a root file system that the job may write to: --rootfs DIR --profile root"

// installers are the ids of the run steps of a job that start apt, if it cannot install.
func (r *runner) installers(j *plan.Job) []string {
	if r.q.Policy.Profile == "root" {
		return nil
	}
	var out []string
	var add func(list []*workflows.Step)
	add = func(list []*workflows.Step) {
		for _, s := range list {
			add(s.Parallel)
			if s.Kind == workflows.RunStep && s.Run != nil && slices.Contains(ToolsOf(Template(s.Run)), "debian") {
				out = append(out, s.ID)
			}
		}
	}
	add(j.Steps)
	return out
}

// advice is what is said of a step before its end; nil if nothing.
func advice(ev job.Event, installers []string) *job.Event {
	if ev.Kind != job.StepFinished || ev.Result == nil || ev.Result.Outcome != job.Failure || !slices.Contains(installers, ev.Step) {
		return nil
	}
	return &job.Event{Kind: job.Annotated, Time: ev.Time, Step: ev.Step, Annotation: &job.Annotation{Level: "warning", Message: rootNeeded, ByRunner: true}}
}
