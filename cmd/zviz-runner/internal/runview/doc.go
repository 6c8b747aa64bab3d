// SPDX-License-Identifier: Apache-2.0

// Package runview shows a run: to people as it happens and in a summary, to programs as
// JSON lines.
//
//	v := runview.New(runview.Config{Out: os.Stdout, Getenv: os.Getenv, Jobs: 3})
//	defer v.Close()
//	res, err := run.Run(ctx, run.Request{Emit: v.Event, …})
//
// Everything goes to Out, the summary too, so that its order is that of what happened;
// errors of ours are the caller's, on standard error, after Close.
//
// Each line of people's views has a mark: "│" is what the job printed, all else is ours.
// So a job cannot print a line that passes for one of ours, such as the end of a step or
// that nothing was denied. What a job wrote is made harmless: its colours pass where
// there is colour, every other control character is seen as an escape. A row that a
// terminal breaks because it is too long has no mark.
//
// Nothing is queued for a slow reader but decisions of the network, up to a number: a
// job waits until its line is written. Memory is bounded by what runs at a time and by
// the number of jobs, not by what they print.
//
// List and Graph show a workflow's jobs before there is a run.
package runview
