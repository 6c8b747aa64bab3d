// SPDX-License-Identifier: Apache-2.0

// Package plan is the state machine of a run: which jobs of a workflow exist, which may
// start now, and what came of them.
//
//	p, err := plan.New(wf, plan.Options{Event: plan.Event{Name: "push", Ref: "refs/heads/main"}})
//	for {
//		for _, job := range p.Ready() {
//			p.Started(job.ID) // and run it somewhere
//		}
//		for _, stop := range p.Stops() { … } // jobs that are to end now
//		p.Finish(id, plan.Result{Conclusion: plan.Success}) // whenever one has ended
//		if conclusion, done := p.Done(); done { … }
//	}
//
// What it decides: whether the event starts the workflow, the inputs, the order of needs,
// the conditions of jobs with their status functions over all ancestors, the cells of a
// matrix with fail-fast and max-parallel, called workflows, concurrency groups of jobs,
// cancellation, and every value of a job that is known before it runs.
//
// What it guarantees: no file, no clock, no goroutine, and the same answers to the same
// calls in the same order. Every job ends exactly once, and a run whose started jobs all
// end ends itself. A Plan is for one goroutine at a time; a Job does not change once it
// is handed out.
//
// Secrets are not here: what names secrets, or a context that only a runner has (env,
// steps, job, runner), is handed on as a token to be evaluated with Evaluate.
//
// The rules are those of GitHub's documentation and, for matrix and names, of its code
// (actions/runner, src/Sdk/WorkflowParser). Its scheduler is not public: what happens to
// waiting jobs when a run is cancelled, and that failure is stronger than cancelled, rest
// on the documentation and on issues 491 and 2205 of that repository.
//
// What it cannot do: concurrency groups that other runs hold too (Plan.Group and Job.Groups
// say which they are, and CancelJob does what another run asks for), gates of environments,
// and gates of the repository's policy.
package plan
