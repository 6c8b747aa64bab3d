// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// TestNPMLayer: what is there is there under the digest that lockfile and registry agree
// on, with the bytes of the store, and nothing else.
func TestNPMLayer(t *testing.T) {
	n := &npmRegistry{shortOK: true}
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	locked := func(name, version string, archive []byte) registry.Locked {
		return registry.Locked{Ecosystem: registry.NPM, Name: name, Version: version, Digests: store.ParseIntegrity(integrity(archive)), Resolved: true}
	}
	a := n.add("a", "1.0.0", 400*day, nil).tarball
	scoped := n.add("@s/b", "2.0.0-rc.1+x", 400*day, nil).tarball
	absent := n.add("c", "1.0.0", 400*day, nil).tarball
	for _, url := range []string{tgz("a", "1.0.0"), tgz("@s/b", "2.0.0-rc.1+x")} {
		if got := ask(t, b.transport(u, Config{}), url); got.status != http.StatusOK {
			t.Fatalf("%s: %+v", url, got)
		}
	}
	asked := u.total()
	two := locked("a", "1.0.0", a)
	two.Digests = append(two.Digests, store.ParseIntegrity(integrity(absent))...)
	weak := locked("a", "1.0.0", a)
	weak.Digests = []store.Digest{store.Digest("sha1:" + hexOf(sha1Of(a)))}
	yes := func(string) bool { return true }
	base := Config{Ecosystem: registry.NPM, Base: npmBase}
	for _, tt := range []struct {
		name   string
		from   []Config
		allow  func(string) bool
		locked []registry.Locked
		want   [][]byte
	}{
		{"both", []Config{base}, yes, []registry.Locked{locked("a", "1.0.0", a), locked("@s/b", "2.0.0-rc.1+x", scoped), locked("a", "1.0.0", a)}, [][]byte{a, scoped}},
		{"of the second registry", []Config{{Ecosystem: registry.NPM, Base: "https://other.test/"}, base}, yes, []registry.Locked{locked("a", "1.0.0", a)}, [][]byte{a}},
		{"not stored", []Config{base}, yes, []registry.Locked{locked("c", "1.0.0", absent)}, nil},
		{"another version", []Config{base}, yes, []registry.Locked{locked("a", "1.0.1", a)}, nil},
		{"another name", []Config{base}, yes, []registry.Locked{locked("x", "1.0.0", a), locked("../a", "1.0.0", a), locked("@s", "1.0.0", a), locked("", "1.0.0", a)}, nil},
		{"another digest", []Config{base}, yes, []registry.Locked{locked("a", "1.0.0", absent)}, nil},
		{"two digests", []Config{base}, yes, []registry.Locked{two}, nil},
		{"a weak digest", []Config{base}, yes, []registry.Locked{weak}, nil},
		{"another scope", []Config{{Ecosystem: registry.NPM, Base: npmBase, Scope: "corp"}}, yes, []registry.Locked{locked("a", "1.0.0", a)}, nil},
		{"another registry", []Config{{Ecosystem: registry.NPM, Base: "https://other.test/"}}, yes, []registry.Locked{locked("a", "1.0.0", a)}, nil},
		{"no registry", nil, yes, []registry.Locked{locked("a", "1.0.0", a)}, nil},
		{"not allowed", []Config{base}, func(u string) bool { return u != tgz("a", "1.0.0") }, []registry.Locked{locked("a", "1.0.0", a), locked("@s/b", "2.0.0-rc.1+x", scoped)}, [][]byte{scoped}},
		{"blocked", []Config{{Ecosystem: registry.NPM, Base: npmBase, Rules: registry.Rules{Block: []registry.Blocked{blocked(t, "a@1.0.0")}}}}, yes, []registry.Locked{locked("a", "1.0.0", a), locked("@s/b", "2.0.0-rc.1+x", scoped)}, [][]byte{scoped}},
		{"age not known", []Config{{Ecosystem: registry.NPM, Base: npmBase, Rules: registry.Rules{MinReleaseAge: day, Exclude: []string{"@s/*"}}}}, yes, []registry.Locked{locked("a", "1.0.0", a), locked("@s/b", "2.0.0-rc.1+x", scoped)}, [][]byte{scoped}},
		{"not in the lockfile that counts", []Config{{Ecosystem: registry.NPM, Base: npmBase, Rules: registry.Rules{Lock: registry.NewLock(locked("c", "1.0.0", absent))}}}, yes, []registry.Locked{locked("a", "1.0.0", a)}, nil},
	} {
		l, err := b.pool.NPMLayer(t.Context(), tt.from, tt.allow, tt.locked)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if l == nil {
			if tt.want != nil {
				t.Errorf("%s: nothing", tt.name)
			}
			continue
		}
		if len(l.Packages) != len(tt.want) {
			t.Errorf("%s: %+v", tt.name, l.Packages)
		}
		files, _ := filepath.Glob(filepath.Join(l.Dir(), "*/*/*/*/*"))
		if len(files) != len(tt.want) {
			t.Errorf("%s: %q", tt.name, files)
		}
		for _, w := range tt.want {
			sum := sha512.Sum512(w)
			h := hex.EncodeToString(sum[:])
			if got, err := os.ReadFile(filepath.Join(l.Dir(), "content-v2/sha512", h[:2], h[2:4], h[4:])); err != nil || !bytes.Equal(got, w) {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if n := u.total(); n != asked {
		t.Errorf("the registry was asked %d times", n-asked)
	}
}

// TestNPMLayerIndex: an archive without a URL in the lockfile is found by that of the
// registry.
func TestNPMLayerIndex(t *testing.T) {
	n := &npmRegistry{}
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	a := n.add("a", "1.0.0", 400*day, nil).tarball
	if got := ask(t, b.transport(u, Config{}), tgz("a", "1.0.0")); got.status != http.StatusOK {
		t.Fatal(got)
	}
	l, err := b.pool.NPMLayer(t.Context(), []Config{{Ecosystem: registry.NPM, Base: npmBase}}, func(string) bool { return true },
		[]registry.Locked{{Ecosystem: registry.NPM, Name: "a", Version: "1.0.0", Digests: store.ParseIntegrity(integrity(a))}})
	if err != nil || l == nil {
		t.Fatalf("%v, %v", l, err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	files, _ := filepath.Glob(filepath.Join(l.Dir(), "index-v5/*/*/*"))
	if len(files) != 1 {
		t.Fatalf("%q", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	sum, body, ok := strings.Cut(strings.TrimPrefix(string(text), "\n"), "\t")
	var entry struct{ Key, Integrity string }
	if err := json.Unmarshal([]byte(body), &entry); err != nil || !ok || sum != hexOf(sha1Of([]byte(body))) {
		t.Errorf("%v: %s", err, text)
	}
	if entry.Key != "make-fetch-happen:request-cache:"+tgz("a", "1.0.0") || entry.Integrity != integrity(a) {
		t.Errorf("%+v", entry)
	}
}

func blocked(t *testing.T, s string) registry.Blocked {
	t.Helper()
	b, err := registry.ParseBlocked(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
