// SPDX-License-Identifier: Apache-2.0

// Package job runs the steps of one job of a workflow in a cell.
//
//	cell, err := x.OpenCell(ctx, executor.CellRequest{Policy: policy})
//	...
//	res, err := job.Run(ctx, job.Request{Cell: cell, Steps: wf.Jobs[0].Steps, Contexts: contexts, Emit: show})
//	// res.Conclusion, res.Outputs
//
// It does what the worker of GitHub's runner does (actions/runner, src/Runner.Worker,
// read at 258d6c85 of 2026-08-17): the order of steps, their environment, shells,
// conditions, commands in their output, the files named by GITHUB_ENV and its kin,
// timeouts, cancellation, composite and JavaScript actions. Each process is started
// by the cell in a sandbox of its own.
//
// What it guarantees:
//
//   - All that it hands out (lines, annotations, names, summaries) is masked; a
//     secret reaches a process only where an expression of its step names it.
//   - Its memory is bounded whatever a step prints or writes into its files: lines
//     are cut at 64 KiB, files are read to a limit.
//   - A step that fails is part of the Result. An error is ours.
//
// It does not neutralise control sequences of terminals: who prints the lines does.
package job
