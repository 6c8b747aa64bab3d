// SPDX-License-Identifier: Apache-2.0

// Package actions brings the actions and the called workflows of a run to its jobs.
//
//	source := actions.NewSource(open, folders) // one for a run
//	defer source.Close()
//	wf, problems := workflows.Parse(file, text, workflows.Options{Open: source.Opener(ctx, own)})
//	…
//	origin := actions.Origin{Repository: "octo/hello", Dir: dir, File: file} // of each job
//	job.Run(ctx, job.Request{Actions: source.For(origin), Tools: tools.For(cell), …})
//
// What it guarantees: a ref is looked up once in a run, so all of its jobs have the same
// commit. A workflow that a lock file names runs the commits that stand there, and is
// refused an action that does not. What a job sees of an action it cannot change: a
// read-only mount, below executor.ActionsDir.
//
// What it cannot do: run docker actions.
package actions
