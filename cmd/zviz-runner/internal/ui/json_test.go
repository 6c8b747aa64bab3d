// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// Whatever a job puts into a name, the report does not act on the terminal that
// shows it, and means the same.
func TestWriteJSONForTerminals(t *testing.T) {
	const name = "a\x1b[2J\u009b2J\u0085\x7f\u202e\u2066\u200f\U000e0041 é 漢 -> <b> 😀"
	var b bytes.Buffer
	if err := WriteJSON(&b, map[string]string{"path": name}, ""); err != nil {
		t.Fatal(err)
	}
	want := `{"path":"a\u001b[2J\u009b2J\u0085\u007f\u202e\u2066\u200f\udb40\udc41 é 漢 -> <b> 😀"}` + "\n"
	if b.String() != want {
		t.Errorf("got %s, want %s", strings.ToValidUTF8(b.String(), "?"), want)
	}
	var back map[string]string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back["path"] != name {
		t.Errorf("got %v %q", err, back["path"])
	}
}
