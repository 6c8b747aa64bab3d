// SPDX-License-Identifier: Apache-2.0

// Package workflows is the model of a workflow file: what it says, checked, not yet
// evaluated.
//
//	wf, problems := workflows.Parse(".github/workflows/ci.yml", text, workflows.Options{Open: open})
//	if len(problems.Errors) > 0 {
//		return problems.Errors[0] // its text is GitHub's
//	}
//	for _, job := range wf.Jobs { … }
//
// The package reads nothing but the text that it is given and, for called workflows,
// what Options.Open returns. Values are tokens of package syntax: what is an expression
// stays one until a run evaluates it. ExpandMatrix and Triggers are the two questions that
// a run asks before it starts a job.
//
// The truth is the converter of GitHub's server (actions/runner, src/Sdk/WorkflowParser,
// read at 258d6c85 of 2026-08-17), and its test data where the two differ: there a
// container without an image is an error, and read-all names the thirteen old scopes.
//
// What it cannot do: decide whether a secret or a variable exists, whether a called
// workflow of another repository is valid if Open does not have it, and what the
// policies of a repository or organization forbid.
package workflows
