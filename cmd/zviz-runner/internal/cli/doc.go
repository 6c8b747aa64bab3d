// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of zviz-runner: one file a command, and what
// all share: root.go, errors.go (exit codes, the form of errors), config.go
// (flag, ZVIZ_* variable, policy file, built-in).
//
//	os.Exit(cli.Main(cli.System{Args: os.Args, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()}))
//
// Nothing in here reads the process's environment, streams or arguments but
// through System.
package cli
