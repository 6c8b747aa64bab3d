// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// WriteJSON writes v as JSON that a terminal may show as it is: a job chooses
// names and texts in it. encoding/json escapes what is below a space; here what
// acts or hides above it is escaped too (C1 control characters, DEL, marks that
// reorder text), which is the same text to a reader of JSON. Characters of HTML
// stay as they are: "->" in a log line is no reason for \u003e. What a CI system would
// take for a command inside of a line (NoCommand) is escaped too.
func WriteJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, breakHashes(string(escapeUnseen(b.Bytes())), `\u0023#`))
	return err
}

// escapeUnseen replaces characters that only strings of JSON can hold.
func escapeUnseen(b []byte) []byte {
	unseen := func(r rune) bool { return r >= 0x7f && !unicode.IsGraphic(r) }
	if !bytes.ContainsFunc(b, unseen) {
		return b
	}
	var out bytes.Buffer
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case !unseen(r):
			out.Write(b[:n])
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out.Bytes()
}
