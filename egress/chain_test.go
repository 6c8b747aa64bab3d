// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/internal/testenv"
)

// The form is that of RFC 8785, here as Python's json makes it: an auditor needs no
// code of ours.
func TestChainHashIsThatOfOthers(t *testing.T) {
	python := testenv.NeedTool(t, "python3")
	events := []Event{
		{Time: time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC), Type: "egress", Verdict: VerdictDeny, Host: "a.test", Port: 443, Up: 1 << 52, Redacted: []string{"x", ""}},
		{Host: "\u202e\"\\\b\t\n\f\r\x01\x1f\x7f</script>&", Path: "\xff\u2028é漢\U0001f600", Opaque: true, Package: Package{Pkg: "p", PkgBy: EvidenceClaimed}},
	}
	const script = `import json,sys,hashlib
for line in sys.stdin:
    print(hashlib.sha256(json.dumps(json.loads(line),sort_keys=True,separators=(",",":"),ensure_ascii=False).encode()).hexdigest())`
	var in strings.Builder
	var want []string
	prev := ChainStart("j1")
	for i := range events {
		hash, err := events[i].Link(prev)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(events[i])
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(data, '\n'))
		want = append(want, hash)
		prev = hash
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", script)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(out)); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("python says %v, we say %v", got, want)
	}
}

// FuzzChainHash: a report that is read and written again has the same hashes, however
// it is laid out.
func FuzzChainHash(f *testing.F) {
	f.Add("a.test", "/x\xff", int64(7))
	f.Fuzz(func(t *testing.T, host, path string, up int64) {
		e := Event{Host: host, Path: path, Up: up}
		want, err := e.Link(ChainStart(host))
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.MarshalIndent(e, " ", "\t")
		if err != nil {
			t.Fatal(err)
		}
		var again Event
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		got, err := ChainHash(data)
		if err != nil || got != want {
			t.Errorf("as written: %s %v, want %s", got, err, want)
		}
		if got, err = again.Link(again.Prev); err != nil || got != want {
			t.Errorf("as read: %s %v, want %s", got, err, want)
		}
	})
}
