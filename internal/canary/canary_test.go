// SPDX-License-Identifier: Apache-2.0

package canary

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/internal/testenv"
)

func forms(v string) map[string]string {
	quoted, _ := json.Marshal("x\"" + v)
	out := map[string]string{
		"plain": v, "hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))),
		"query": url.QueryEscape(v), "path": url.PathEscape(v), "json": string(quoted),
	}
	for _, before := range []string{"", "a", "ab"} {
		out["base64 after "+before] = base64.StdEncoding.EncodeToString([]byte(before + v + "tail"))
		out["base64url after "+before] = base64.RawURLEncoding.EncodeToString([]byte(before + v + "tail"))
	}
	return out
}

func TestFindEachInEachForm(t *testing.T) {
	set := New()
	f := NewFinder(set.Credentials)
	for _, c := range set.Credentials {
		for form, text := range forms(c.Value) {
			if got := f.Find("before " + text + " after"); got != c.Name {
				t.Errorf("%s as %s: found %q", c.Name, form, got)
			}
			for cut := range len(text) {
				s := f.Scanner()
				if a, b := s.Scan([]byte("x"+text[:cut])), s.Scan([]byte(text[cut:]+"x")); a+b == "" {
					t.Errorf("%s as %s, cut at %d: not found", c.Name, form, cut)
					break
				}
			}
		}
		var labels []string
		for coded := hex.EncodeToString([]byte(c.Value)); coded != ""; coded = coded[min(63, len(coded)):] {
			labels = append(labels, coded[:min(63, len(coded))])
		}
		for form, host := range map[string]string{
			"hex in labels": strings.Join(labels, ".") + ".evil.test",
			"base32":        strings.ToLower(strings.TrimRight(base32.StdEncoding.EncodeToString([]byte("n"+c.Value)), "=")) + ".evil.test",
			"lower case":    strings.ToLower(c.Value) + ".evil.test",
		} {
			if got := f.FindInName(host); got != c.Name {
				t.Errorf("%s in a name, %s: found %q", c.Name, form, got)
			}
		}
	}
}

// What every key, token or log of others has in it is not taken for ours.
func TestOthersAreNotFound(t *testing.T) {
	f := NewFinder(New().Credentials)
	for range 50 {
		other := New()
		for name, data := range other.Files {
			if got := f.Find(string(data)); got != "" {
				t.Fatalf("%s of another job is taken for %s", name, got)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 1<<20)
	for i := range text {
		text[i] = alphabet64[r.IntN(64)]
	}
	if got := f.Find(string(text)) + f.FindInName(string(text)); got != "" {
		t.Errorf("random text is taken for %s", got)
	}
	var none *Finder
	if none.Find("x")+none.FindInName("x") != "" || NewFinder(nil).Scanner().Scan([]byte("xyz")) != "" {
		t.Error("something was found where nothing was planted")
	}
}

// ssh-keygen takes the key for one.
func TestSSHKeyIsReal(t *testing.T) {
	keygen := testenv.NeedTool(t, "ssh-keygen")
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, New().Files[".ssh/id_ed25519"], 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), keygen, "-y", "-P", "", "-f", name).CombinedOutput()
	if err != nil || !bytes.HasPrefix(out, []byte("ssh-ed25519 ")) {
		t.Fatalf("%v: %s", err, out)
	}
	set := New()
	f := NewFinder(set.Credentials)
	if err := os.WriteFile(name, set.Files[".ssh/id_ed25519"], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err = exec.CommandContext(t.Context(), keygen, "-y", "-P", "", "-f", name).CombinedOutput(); err != nil || f.Find(string(out)) != "" {
		t.Errorf("the public key is taken for the private one: %v %s", err, out)
	}
}

// FuzzScanner: wherever a stream is cut, what was planted is found, and nothing else.
func FuzzScanner(f *testing.F) {
	set := New()
	finder := NewFinder(set.Credentials)
	f.Add([]byte("before"), []byte("after"), uint8(3), uint8(0))
	f.Fuzz(func(t *testing.T, before, after []byte, cut, which uint8) {
		v := set.Credentials[int(which)%len(set.Credentials)].Value
		for _, planted := range []string{"", v} {
			text := append(append(append([]byte{}, before...), planted...), after...)
			s, found := finder.Scanner(), false
			for len(text) > 0 {
				n := min(int(cut)+1, len(text))
				found = s.Scan(text[:n]) != "" || found
				text = text[n:]
			}
			if found != (planted != "") {
				t.Errorf("planted %q, found: %v", planted, found)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	s := NewFinder(New().Credentials).Scanner()
	line := []byte(strings.Repeat("npm http fetch GET 200 https://registry.example.test/left-pad 42ms (cache hit) sha512-abcDEF012+/\n", 340))
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		s.Scan(line)
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewFinder(New().Credentials)
	}
}
