// SPDX-License-Identifier: Apache-2.0

package page

import (
	"html"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
)

// writer builds markup. Tags and names of attributes are ours; every text and every
// value of an attribute is escaped, so there is no way to put markup in.
type writer struct{ b strings.Builder }

// open writes a start tag; attrs are names and values in turn.
func (w *writer) open(tag string, attrs ...string) {
	w.b.WriteString("<" + tag)
	for i := 0; i+1 < len(attrs); i += 2 {
		w.b.WriteString(" " + attrs[i] + `="` + safe(attrs[i+1]) + `"`)
	}
	w.b.WriteString(">")
}

func (w *writer) close(tag string) { w.b.WriteString("</" + tag + ">\n") }

// in writes an element around what body writes.
func (w *writer) in(tag string, attrs []string, body func()) {
	w.open(tag, attrs...)
	body()
	w.close(tag)
}

// text writes an element with a text in it.
func (w *writer) text(tag, s string, attrs ...string) {
	w.open(tag, attrs...)
	w.b.WriteString(safe(s))
	w.close(tag)
}

// safe makes any text fit for markup and for one line.
func safe(s string) string { return html.EscapeString(ui.Clean(s)) }
