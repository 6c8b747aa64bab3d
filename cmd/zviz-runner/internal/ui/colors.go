// SPDX-License-Identifier: Apache-2.0

package ui

import "os"

// Colors styles text, or leaves it as it is. No style carries meaning alone.
type Colors bool

// ColorsFor decides whether what goes to f is coloured: mode is "auto", "always" or
// "never", as in Config.
func ColorsFor(mode string, getenv func(string) string, f *os.File) Colors {
	return Colors(useColor(mode, getenv, IsTerminal(f)))
}

// Bold is for what names a line.
func (c Colors) Bold(s string) string { return c.style("1", s) }

// Dim is for what most readers skip.
func (c Colors) Dim(s string) string { return c.style("2", s) }

// Red is for what went wrong.
func (c Colors) Red(s string) string { return c.style("1;31", s) }

// Green is for what is as it should be.
func (c Colors) Green(s string) string { return c.style("32", s) }

// Yellow is for what wants a look.
func (c Colors) Yellow(s string) string { return c.style("33", s) }

// Of tells several things apart, such as jobs: neighbours differ. Red and green are not
// among its colours, since they mean something.
func (c Colors) Of(n int, s string) string {
	codes := [...]string{"36", "35", "34", "33", "96", "95", "94", "93"}
	return c.style(codes[n%len(codes)], s)
}

func (c Colors) style(code, s string) string {
	if !c || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + resetColor
}
