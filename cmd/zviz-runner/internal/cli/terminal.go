// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"os"
	"sync"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/sandbox"
)

// terminal is the operator's terminal while a command has it.
type terminal struct {
	in, out *os.File
	sized   *os.File // whose window counts; nil if no stream is a terminal
	tty     sandbox.TTY
	resize  chan sandbox.TTY
	keys    bool // keys go to the command as they are

	mu   sync.Mutex
	undo func() // nil before raw
	over bool
}

// newTerminal finds out which streams of the command are a terminal.
func (a app) newTerminal(json bool) *terminal {
	t := &terminal{in: a.In, out: a.Out, resize: make(chan sandbox.TTY, 1)}
	if json {
		return t // programs read programs
	}
	t.tty.Stdin, t.tty.Stdout, t.tty.Stderr = ui.IsTerminal(a.In), ui.IsTerminal(a.Out), ui.IsTerminal(a.Err)
	if t.tty.Stdin && ui.InBackground(a.In) {
		// One read would stop us, whether the command wants input or not.
		t.tty.Stdin, t.in = false, nil
	}
	for _, s := range []struct {
		tty bool
		f   *os.File
	}{{t.tty.Stdout, a.Out}, {t.tty.Stderr, a.Err}, {t.tty.Stdin, a.In}} {
		if s.tty && t.sized == nil {
			t.sized = s.f
		}
	}
	t.keys = t.tty.Stdin && t.tty.Stdout
	if t.sized != nil {
		t.tty.Rows, t.tty.Cols = ui.Size(t.sized)
	}
	return t
}

// stdin returns what the command reads, nil for nothing.
func (t *terminal) stdin() io.Reader {
	if t.in == nil {
		return nil
	}
	return t.in
}

// raw hands the keys to the command, Ctrl-C too.
func (t *terminal) raw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.keys || t.over || t.undo != nil {
		return
	}
	undo, err := ui.MakeRaw(t.in)
	if err != nil {
		return // the command still runs, line by line
	}
	t.undo = undo
}

// restore gives the terminal back as it was; whatever the command switched on
// is off, and what it typed for the operator's shell is gone.
func (t *terminal) restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	t.over = true
	if t.tty.Stdout {
		_, _ = io.WriteString(t.out, ui.ResetModes)
	}
	if t.undo != nil {
		t.undo()
	}
	if t.tty.Stdin {
		ui.FlushInput(t.in)
	}
}

// resized passes the window's new size on; only the last one counts.
func (t *terminal) resized() {
	if t.sized == nil {
		return
	}
	size := t.tty
	size.Rows, size.Cols = ui.Size(t.sized)
	select {
	case <-t.resize:
	default:
	}
	select {
	case t.resize <- size:
	default:
	}
}
