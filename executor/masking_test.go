// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/zviz/run/egress"
)

// A job chooses what it asks for, so every name in an event may be a secret.
func TestEventHidesSecrets(t *testing.T) {
	const secret = "swordfish-secret"
	found := &egress.Fetched{Ecosystem: "npm", Name: secret, Version: "1.0.0-" + secret}
	e := egress.Event{
		Host: secret + ".test", Path: "/" + secret, Hint: secret, Method: secret, Redacted: []string{secret},
		Process: egress.Process{Exe: secret, Argv0: secret, Chain: []string{secret}},
		Package: egress.Package{Pkg: secret, Script: secret}, Fetched: found,
	}
	text, err := json.Marshal(hide([]string{secret}).event(e))
	if err != nil || strings.Contains(string(text), secret) {
		t.Errorf("%s, %v", text, err)
	}
	if found.Name != secret {
		t.Error("the original was changed")
	}
}
