// SPDX-License-Identifier: Apache-2.0

// Package executor runs jobs: it makes the cell of a job (network, cgroup,
// workspace), starts each command in a sandbox of its own and writes down what
// happened in one Report.
//
//	x, err := executor.New(executor.Config{StateDir: dir})
//	report, err := x.Exec(ctx, executor.Request{Policy: policy, Args: []string{"npm", "ci"}, Dir: "/work/app"})
//
// An error means that we failed and the command did not run; a command that
// fails is a Report.
package executor
