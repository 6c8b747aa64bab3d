// SPDX-License-Identifier: Apache-2.0

// Package run runs a workflow on this machine: it asks the plan which jobs may start,
// gives each a cell, and runs its steps there.
//
//	res, err := run.Run(ctx, run.Request{
//		Workflow: wf, Plan: plan.Options{Event: event}, Cells: x, Emit: show,
//	})
//	// res.Conclusion, res.Jobs
//
// What it guarantees:
//
//   - A job that started has ended, and its cell is closed, when Run returns.
//   - Secrets are given to the job that the workflow gives them to, and masked in
//     everything that is handed out.
//   - Of all runs of this machine that name a concurrency group one has it; how a job or a
//     run that waits for one ends is as on the forge.
//   - A job's tokens are placeholders; the gateway puts the real one into requests to
//     the forge and nowhere else: to read the run's own repository, as far as the
//     permissions of the job go.
//   - What a deployment environment has is for the jobs that name it.
//
// What it cannot do: containers and services of jobs, gates of environments, and
// concurrency groups that runs of other machines hold.
package run
