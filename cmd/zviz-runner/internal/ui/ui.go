// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Config is what a UI is made of.
type Config struct {
	In, Out, Err *os.File
	Getenv       func(string) string
	Color        string // "auto", "always" or "never"; empty means auto
	Progress     string // "auto", "tty", "plain" or "quiet"; empty means auto
	Quiet        bool   // no notes
}

// UI prints for people. What a program reads (the command's own output, JSON)
// does not go through it.
type UI struct {
	cfg      Config
	color    Colors
	progress *Progress
	err      io.Writer
}

// New makes a UI. Close it to end the progress line.
func New(cfg Config) *UI {
	u := &UI{cfg: cfg, color: ColorsFor(cfg.Color, cfg.Getenv, cfg.Err)}
	u.progress = NewProgress(cfg.Err, progressMode(cfg.Progress, cfg.Getenv, IsTerminal(cfg.Err)), func() (rows, cols int) {
		r, c := Size(cfg.Err)
		return int(r), int(c)
	})
	u.progress.color = bool(u.color)
	u.err = u.progress.Writer()
	return u
}

// Close erases the progress line.
func (u *UI) Close() { u.progress.Close() }

// Phase shows what is being done; the empty name ends the line.
func (u *UI) Phase(name string) { u.progress.Phase(name) }

// Amount shows how far the phase is.
func (u *UI) Amount(done string) { u.progress.Amount(done) }

// Mode says how progress is shown: "tty", "plain" or "quiet".
func (u *UI) Mode() string { return u.progress.mode }

// Live shows rows while nothing else is being done; nil ends it.
func (u *UI) Live(rows func(cols, most int) []Row) { u.progress.Live(rows) }

// Beside returns a writer to w for a command that shares our terminal.
func (u *UI) Beside(w io.Writer) io.Writer { return u.progress.Beside(w) }

// Err returns standard error; what is written scrolls above the progress line.
func (u *UI) Err() io.Writer { return u.err }

// Notef prints one line that begins with "zviz: ", unless notes are off.
func (u *UI) Notef(format string, args ...any) {
	if u.cfg.Quiet {
		return
	}
	fmt.Fprintln(u.err, u.Bold("zviz:")+" "+fmt.Sprintf(format, args...))
}

// Fixf prints the line below a note that says what can be done.
func (u *UI) Fixf(format string, args ...any) {
	if u.cfg.Quiet {
		return
	}
	fmt.Fprintln(u.err, "  "+u.Bold("fix:")+" "+fmt.Sprintf(format, args...))
}

// Bold is for what names a line. Like the other styles it does nothing without
// colour, and no colour carries meaning alone.
func (u *UI) Bold(s string) string { return u.color.Bold(s) }

// Red is for what went wrong.
func (u *UI) Red(s string) string { return u.color.Red(s) }

// Green is for what is as it should be.
func (u *UI) Green(s string) string { return u.color.Green(s) }

// useColor decides by flag, then NO_COLOR (no-color.org), then CLICOLOR_FORCE
// (bixense.com/clicolors), then the terminal.
func useColor(mode string, getenv func(string) string, tty bool) bool {
	switch mode {
	case "always":
		return true
	case "never":
		return false
	}
	if getenv("NO_COLOR") != "" {
		return false
	}
	if f := getenv("CLICOLOR_FORCE"); f != "" && f != "0" {
		return true
	}
	return tty && getenv("TERM") != "dumb"
}

// progressMode resolves "auto": a line on a terminal, nothing elsewhere, and
// nothing where a machine reads the log although it offers a terminal (CI).
func progressMode(mode string, getenv func(string) string, tty bool) string {
	switch mode {
	case "tty", "plain", "quiet":
		return mode
	}
	if !live(getenv, tty) {
		return "quiet"
	}
	return "tty"
}

// Live reports whether what is written to f may be drawn over: a person looks at it.
func Live(getenv func(string) string, f *os.File) bool { return live(getenv, IsTerminal(f)) }

func live(getenv func(string) string, tty bool) bool {
	ci := strings.ToLower(getenv("CI"))
	return tty && getenv("TERM") != "dumb" && (ci == "" || ci == "false" || ci == "0")
}
