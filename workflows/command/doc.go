// SPDX-License-Identifier: Apache-2.0

// Package command reads what a step says to its runner: commands in lines of its
// output (Parse), the files named by GITHUB_ENV, GITHUB_OUTPUT, GITHUB_STATE and
// GITHUB_PATH (ParseValues, ParsePaths), and annotations that a problem matcher
// finds in its output (Matchers).
//
//	c, ok := command.Parse("::error file=a.go,line=3::undefined: x")
//	// c.Name "error", c.Properties {"file": "a.go", "line": "3"}, c.Data "undefined: x"
//
// It reads text and decides nothing: what a command does is the executor's. The
// rules are those of the official runner (actions/runner, ActionCommand.cs,
// FileCommandManager.cs, IssueMatcher.cs).
package command
