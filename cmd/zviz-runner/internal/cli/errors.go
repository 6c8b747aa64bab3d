// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// The exit codes that are ours. exec gives exitOurs for every error of ours, a
// bad flag too: what is below belongs to the command.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitTimeout  = 124
	exitOurs     = 125
	exitNotFound = 127
	exitSignal   = 128 // plus the signal's number
)

// exitStatus ends a command with an exit code and says nothing.
type exitStatus int //nolint:errname // not an error to anybody but cobra

func (s exitStatus) Error() string { return "exit status " + strconv.Itoa(int(s)) }

// failure is an error as the user sees it. Its JSON form is documented in help
// exit-codes; codes are stable.
type failure struct {
	Code  string `json:"code"`
	What  string `json:"what"` // what, on what, root cause; one line
	Why   string `json:"why,omitempty"`
	Fix   string `json:"fix,omitempty"` // something that can be pasted
	Layer string `json:"layer,omitempty"`
	Exit  int    `json:"exit"`

	err error
}

func (f failure) Error() string { return f.What }
func (f failure) Unwrap() error { return f.err }

// An error may say more than its text: what to do, a fact on top, its stable
// code. It is found by these interfaces, so that no package imports an error
// package of ours.
type (
	hinter  interface{ Hint() string }
	whyer   interface{ Why() string }
	codeder interface{ Code() string }
)

// describe makes a failure of any error.
func describe(err error) failure {
	if f, ok := errors.AsType[failure](err); ok {
		if f.Exit == 0 { // an error is never success
			f.Exit = exitUsage
		}
		return f
	}
	f := failure{Code: "run.failed", What: err.Error(), Exit: exitFailed, err: err}
	if le, ok := errors.AsType[*sandbox.LayerError](err); ok {
		f.Code, f.Layer = "layer.unavailable", string(le.Layer)
	}
	if _, ok := errors.AsType[*executor.WorkspaceError](err); ok {
		f.Code = "workspace.refused"
	}
	if _, ok := errors.AsType[*executor.StateError](err); ok {
		f.Code = "state.unusable"
	}
	if h, ok := find[hinter](err); ok {
		f.Fix = h.Hint()
	}
	if f.Fix == "" {
		f.Fix = sandbox.ShortageHint(err)
	}
	if w, ok := find[whyer](err); ok {
		f.Why = w.Why()
	}
	if c, ok := find[codeder](err); ok {
		f.Code = c.Code()
	}
	return f
}

// find is errors.AsType for an interface that is not an error itself.
func find[T any](err error) (T, bool) {
	for err != nil {
		if t, ok := err.(T); ok {
			return t, true
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				if t, ok := find[T](e); ok {
					return t, true
				}
			}
		}
		err = errors.Unwrap(err)
	}
	var zero T
	return zero, false
}

// bug describes a panic.
func bug(v any) failure {
	return failure{
		Code: "internal.bug", What: fmt.Sprintf("bug: %v", v), Exit: exitOurs,
		Why: "this should not happen; at " + panicSite(string(debug.Stack())),
		Fix: "report it with the output of: zviz-runner version; zviz-runner doctor --json",
	}
}

// panicSite finds the line that panicked: the first frame below runtime's.
func panicSite(stack string) string {
	_, below, ok := strings.Cut(stack, "panic.go:")
	if !ok {
		return "an unknown place"
	}
	lines := strings.Split(below, "\n")
	for _, l := range lines[1:] {
		if loc, ok := strings.CutPrefix(l, "\t"); ok && !strings.Contains(loc, "/runtime/") {
			loc, _, _ = strings.Cut(loc, " ")
			return loc[strings.LastIndexByte(loc, '/')+1:]
		}
	}
	return "an unknown place"
}

// print writes the house form. The text may quote what a job or a hostile file
// said, so it is cleaned.
func (f failure) print(u *ui.UI) {
	fmt.Fprintln(u.Err(), u.Red("error:")+" "+cleanLines(f.What))
	if f.Why != "" {
		fmt.Fprintln(u.Err(), "  "+u.Bold("why:")+" "+cleanLines(f.Why))
	}
	if f.Fix != "" {
		fmt.Fprintln(u.Err(), "  "+u.Bold("fix:")+" "+cleanLines(f.Fix))
	}
}

// cleanLines cleans a text of ours that may have several lines.
func cleanLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = ui.CleanLine(l)
	}
	return strings.Join(lines, "\n       ")
}

func (f failure) printJSON(w io.Writer) {
	_ = writeJSON(w, struct {
		Error failure `json:"error"`
	}{f})
}

// writeJSON writes v on one line.
func writeJSON(w io.Writer, v any) error { return ui.WriteJSON(w, v, "") }

func printLine(w io.Writer, s string) error {
	_, err := fmt.Fprintln(w, s)
	return err
}

// badValue is the text for a value that a flag, a variable or a file has.
func badValue(where, value string, err error) string {
	if value == "" {
		return where + ": " + err.Error()
	}
	return where + " " + strconv.Quote(value) + ": " + err.Error()
}
