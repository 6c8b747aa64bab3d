// SPDX-License-Identifier: Apache-2.0

// Package ui holds what zviz-runner knows about terminals: whether a stream is
// one, colour, the progress line, tables, raw mode, and the escaping of text
// that a job wrote. No other package asks "is this a terminal?".
//
//	u := ui.New(ui.Config{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: getenv})
//	u.Notef("denied %s", ui.Clean(host))
//
// Text of a job is hostile: a host name, a path or an executable's name may
// hold escape sequences that rewrite the operator's screen. Everything of that
// origin passes Clean before it is printed.
package ui
