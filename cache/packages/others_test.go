// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"
	modzip "golang.org/x/mod/zip"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/internal/testenv"
)

const goBase = "http://go.test/proxy"

// goProxy is a module proxy with the checksum database of its modules behind it.
type goProxy struct {
	t      *testing.T
	key    string // verifier key of the database
	files  map[string][]byte
	sums   map[string]string
	served map[string][]byte // instead of a file
	sumdb  http.Handler
}

func newGoProxy(t *testing.T) *goProxy {
	t.Helper()
	secret, verifier, err := note.GenerateKey(nil, "sum.test")
	if err != nil {
		t.Fatal(err)
	}
	p := &goProxy{t: t, key: verifier, files: map[string][]byte{}, sums: map[string]string{}, served: map[string][]byte{}}
	p.sumdb = sumdb.NewServer(sumdb.NewTestServer(secret, func(path, version string) ([]byte, error) {
		s, ok := p.sums[path+"@"+version]
		if !ok {
			return nil, os.ErrNotExist
		}
		return []byte(s), nil
	}))
	return p
}

func (p *goProxy) add(name, version string, age time.Duration) {
	p.t.Helper()
	dir := p.t.TempDir()
	mod := "module " + name + "\n\ngo 1.21\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte("package x\n\nconst Version = \""+version+"\"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := modzip.CreateFromDir(&b, module.Version{Path: name, Version: version}, dir); err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join(dir, "m.zip")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		p.t.Fatal(err)
	}
	zipSum, err := dirhash.HashZip(file, dirhash.Hash1)
	if err != nil {
		p.t.Fatal(err)
	}
	goMod, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(mod)), nil })
	if err != nil {
		p.t.Fatal(err)
	}
	base := name + "/@v/"
	p.files[base+"list"] = append(p.files[base+"list"], version+"\n"...)
	info := fmt.Appendf(nil, `{"Version":%q,"Time":%q}`, version, time.Now().Add(-age).UTC().Format(time.RFC3339))
	p.files[base+version+".info"], p.files[name+"/@latest"] = info, info
	p.files[base+version+".mod"], p.files[base+version+".zip"] = []byte(mod), b.Bytes()
	p.sums[name+"@"+version] = fmt.Sprintf("%s %s %s\n%s %s/go.mod %s\n", name, version, zipSum, name, version, goMod)
}

func (p *goProxy) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/proxy/")
	if rest, ok := strings.CutPrefix(path, "sumdb/sum.test/"); ok {
		if rest == "supported" {
			return
		}
		r.URL.Path = "/" + rest
		p.sumdb.ServeHTTP(rw, r)
		return
	}
	b, ok := p.served[path]
	if !ok {
		b, ok = p.files[path]
	}
	if !ok {
		http.Error(rw, "not found", http.StatusNotFound)
		return
	}
	_, _ = rw.Write(b)
}

// goIn runs the go command with caches of its own.
func goIn(t *testing.T, dir, key string, tr http.RoundTripper, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(testenv.NeedTool(t, "go"), args...)
	cmd.Dir = dir
	proxy := front(t, tr).URL
	cache := t.TempDir()
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + cache, "GOMODCACHE=" + filepath.Join(cache, "mod"), "GOCACHE=" + filepath.Join(cache, "build"),
		"GOPROXY=" + goBase, "GOSUMDB=" + key, "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "HTTP_PROXY=" + proxy, "http_proxy=" + proxy, "NO_PROXY=", "no_proxy=",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestGoCommand: go mod download through the store, proven by the checksum
// database; then with the network cut; then with a young version.
func TestGoCommand(t *testing.T) {
	testenv.NeedTool(t, "go")
	p := newGoProxy(t)
	p.add("example.test/Upper/x", "v1.0.0", 400*day)
	p.add("example.test/Upper/x", "v1.1.0", 100*day)
	p.add("example.test/Upper/x", "v1.2.0", day)
	p.files["example.test/!upper/x/@v/list"] = p.files["example.test/Upper/x/@v/list"]
	for name, b := range p.files {
		p.files[strings.Replace(name, "Upper", "!upper", 1)] = b
	}
	u := newUpstream(t, p.ServeHTTP)
	for _, sum := range []string{p.key, "sum.test"} {
		b := newBench(t)
		c := Config{Ecosystem: registry.Go, Base: goBase, SumDB: sum}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module me\n\ngo 1.21\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		get := func(c Config, spec string) (string, error) {
			return goIn(t, dir, p.key, b.transport(u, c), "get", spec)
		}
		if out, err := get(c, "example.test/Upper/x@latest"); err != nil || !strings.Contains(out, "v1.2.0") {
			t.Fatalf("%v\n%s", err, out)
		}
		stored := map[string]bool{}
		for _, e := range b.events {
			if e.Kind == registry.File && e.Stored {
				stored[e.Version+" "+e.Digest.Algorithm()] = true
			}
		}
		if !stored["v1.2.0 h1"] || !stored["v1.2.0 h1mod"] {
			t.Errorf("%s: kept %v", sum, stored)
		}
		u.down.Store(true)
		c.Offline = true
		if out, err := goIn(t, dir, p.key, b.transport(u, c), "mod", "download", "-x"); err != nil {
			t.Errorf("offline: %v\n%s", err, out)
		}
		u.down.Store(false)
		c.Offline, c.Rules = false, registry.Rules{MinReleaseAge: 7 * day}
		// v1.2.0 is in go.mod and in the store by now.
		if out, err := goIn(t, dir, p.key, b.transport(u, c), "mod", "download"); err == nil || !strings.Contains(out, "v1.2.0 was published 24 hours ago") {
			t.Errorf("young: %v\n%s", err, out)
		}
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module me\n\ngo 1.21\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, "go.sum"))
		for _, spec := range []string{"example.test/Upper/x@latest", "example.test/Upper/x@v1"} {
			if out, err := get(c, spec); err != nil || !strings.Contains(out, "v1.1.0") {
				t.Errorf("%s: %v\n%s", spec, err, out)
			}
		}
	}
}

// A zip that is not what the checksum database says is not served, whether the
// proxy lies or its database does.
// What a branch is changes, also if it is called nearly as a version.
func TestGoTTL(t *testing.T) {
	for version, never := range map[string]bool{
		"v1.2.3": true, "v2.0.0+incompatible": true, "v0.0.0-20260101000000-abcdefabcdef": true, "v1.2.3-rc.1": true,
		"master": false, "v1.0.x": false, "v1.2": false, "v2.0.0.1": false,
	} {
		q := asked{Request: registry.Classify(registry.Go, "example.test/m/@v/"+version+".info")}
		if got := goTTL(q); q.Kind != registry.Manifest || (got == forever) != never {
			t.Errorf("%s: %v", version, got)
		}
	}
}

func TestGoIntegrity(t *testing.T) {
	p := newGoProxy(t)
	p.add("example.test/x", "v1.0.0", 400*day)
	p.add("example.test/y", "v1.0.0", 400*day)
	u := newUpstream(t, p.ServeHTTP)
	b := newBench(t)
	p.served["example.test/x/@v/v1.0.0.zip"] = p.files["example.test/y/@v/v1.0.0.zip"]
	p.served["example.test/x/@v/v1.0.0.mod"] = []byte("module example.test/evil\n")
	tr := b.transport(u, Config{Ecosystem: registry.Go, Base: goBase, SumDB: p.key})
	for _, doc := range []string{"zip", "mod"} {
		got := ask(t, tr, goBase+"/example.test/x/@v/v1.0.0."+doc)
		if got.status != http.StatusBadGateway || b.last().Reason != registry.ReasonIntegrity {
			t.Errorf("%s: %d %s %v", doc, got.status, got.body, got.err)
		}
	}
	clear(p.served)
	// A database that says something else than its signed tree.
	lie := newGoProxy(t)
	lie.add("example.test/x", "v1.0.0", 400*day)
	v := newUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/sumdb/") {
			lie.ServeHTTP(rw, r)
			return
		}
		p.ServeHTTP(rw, r)
	})
	tr = newBench(t).transport(v, Config{Ecosystem: registry.Go, Base: goBase, SumDB: p.key})
	if got := ask(t, tr, goBase+"/example.test/x/@v/v1.0.0.zip"); got.err == nil && got.status == http.StatusOK {
		t.Errorf("another key's database was believed: %d", got.status)
	}
	// Without a database nothing is kept, and the job gets what there is.
	b = newBench(t)
	tr = b.transport(u, Config{Ecosystem: registry.Go, Base: goBase})
	if got := ask(t, tr, goBase+"/example.test/x/@v/v1.0.0.zip"); got.status != http.StatusOK || b.last().Stored {
		t.Errorf("%d %+v", got.status, b.last())
	}
}

const pypiBase, pypiFiles = "http://pypi.test/simple", "http://files.test/packages"

func hash256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestPyPI(t *testing.T) {
	old, young := []byte("old wheel"), []byte("young wheel")
	page := map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": "six", "versions": []string{"1.0", "1.1"}, "files": []map[string]any{
		{"filename": "six-1.0-py3-none-any.whl", "url": pypiFiles + "/aa/six-1.0-py3-none-any.whl", "hashes": map[string]string{"sha256": hash256(old)}, "upload-time": time.Now().Add(-400 * day).UTC().Format(time.RFC3339Nano)},
		{"filename": "six-1.1-py3-none-any.whl", "url": pypiFiles + "/bb/six-1.1-py3-none-any.whl", "hashes": map[string]string{"sha256": hash256(young)}, "upload-time": time.Now().Add(-day).UTC().Format(time.RFC3339Nano), "core-metadata": map[string]string{"sha256": hash256([]byte("meta"))}},
	}}
	doc, err := json.Marshal(page)
	if err != nil {
		t.Fatal(err)
	}
	html := false
	u := newUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/simple/six/":
			if html {
				rw.Header().Set("Content-Type", "text/html")
				fmt.Fprintf(rw, `<a href="%s/aa/six-1.0-py3-none-any.whl#sha256=%s">x</a><a href="%[1]s/bb/six-1.1-py3-none-any.whl#sha256=%s">y</a>`, pypiFiles, hash256(old), hash256(young))
				return
			}
			rw.Header().Set("Content-Type", registry.PyPIJSON)
			_, _ = rw.Write(doc)
		case "/packages/aa/six-1.0-py3-none-any.whl":
			_, _ = rw.Write(old)
		case "/packages/bb/six-1.1-py3-none-any.whl":
			_, _ = rw.Write(young)
		case "/packages/bb/six-1.1-py3-none-any.whl.metadata":
			_, _ = rw.Write([]byte("meta"))
		default:
			http.NotFound(rw, r)
		}
	})
	b := newBench(t)
	c := Config{Ecosystem: registry.PyPI, Base: pypiBase, Files: []string{pypiFiles}}
	tr := b.transport(u, c)
	for _, f := range []string{"/bb/six-1.1-py3-none-any.whl", "/bb/six-1.1-py3-none-any.whl.metadata", "/aa/six-1.0-py3-none-any.whl"} {
		if got := ask(t, tr, pypiFiles+f); got.status != http.StatusOK || !b.last().Stored {
			t.Errorf("%s: %d %v %+v", f, got.status, got.err, b.last())
		}
	}
	c.Rules.MinReleaseAge = 7 * day
	tr = b.transport(u, c)
	if got := ask(t, tr, pypiBase+"/six/", "Accept", registry.PyPIJSON); got.status != http.StatusOK || bytes.Contains(got.body, []byte("1.1-py3")) || !bytes.Contains(got.body, []byte("1.0-py3")) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := ask(t, tr, pypiBase+"/six/", "Accept", "text/html"); got.status != http.StatusOK || bytes.Contains(got.body, []byte("1.1-py3")) || !bytes.Contains(got.body, []byte("<a href=")) {
		t.Errorf("%d %s", got.status, got.body)
	}
	for _, f := range []string{"/bb/six-1.1-py3-none-any.whl", "/bb/six-1.1-py3-none-any.whl.metadata"} {
		if got := ask(t, tr, pypiFiles+f); got.status != http.StatusForbidden || b.last().Reason != registry.ReasonAge {
			t.Errorf("warm and young: %s: %d", f, got.status)
		}
	}
	if got := ask(t, tr, pypiFiles+"/aa/six-1.0-py3-none-any.whl"); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	// An index that has HTML only: digests are known, times are not.
	html = true
	b = newBench(t)
	if got := ask(t, b.transport(u, Config{Ecosystem: registry.PyPI, Base: pypiBase, Files: []string{pypiFiles}}), pypiFiles+"/aa/six-1.0-py3-none-any.whl"); got.status != http.StatusOK || !b.last().Stored {
		t.Errorf("%d %+v", got.status, b.last())
	}
	if got := ask(t, b.transport(u, c), pypiBase+"/six/"); got.status != http.StatusForbidden || !strings.Contains(string(got.body), "does not say when") {
		t.Errorf("%d %s", got.status, got.body)
	}
	for name, rules := range map[string]registry.Rules{
		"block":    {Block: []registry.Blocked{blocked(t, "six@1.1")}},
		"lockfile": {Lock: registry.NewLock(registry.Locked{Ecosystem: registry.PyPI, Name: "six", Version: "1.0"})},
	} {
		c.Rules = rules
		if got := ask(t, b.transport(u, c), pypiBase+"/six/"); got.status != http.StatusOK || bytes.Contains(got.body, []byte("1.1-py3")) || !bytes.Contains(got.body, []byte(`/aa/six-1.0-py3-none-any.whl#sha256=`+hash256(old))) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if got := ask(t, b.transport(u, c), pypiFiles+"/bb/six-1.1-py3-none-any.whl"); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.status)
		}
	}
}

func TestCargo(t *testing.T) {
	crate := []byte("crate")
	const index, dl = "http://index.test", "http://dl.test/crates"
	line := fmt.Sprintf(`{"name":"Serde","vers":"1.0.0","deps":[],"cksum":"%s","features":{},"yanked":false}`, hash256(crate))
	u := newUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/config.json":
			fmt.Fprintf(rw, `{"dl":"%s","api":""}`, dl)
		case "/se/rd/serde":
			fmt.Fprintln(rw, line)
		case "/crates/Serde/1.0.0/download":
			_, _ = rw.Write(crate)
		default:
			http.NotFound(rw, r)
		}
	})
	b := newBench(t)
	c := Config{Ecosystem: registry.Cargo, Base: index, Files: []string{dl}}
	for _, offline := range []bool{false, true} {
		c.Offline = offline
		tr := b.transport(u, c)
		for _, path := range []string{index + "/config.json", index + "/se/rd/serde", dl + "/Serde/1.0.0/download"} {
			if got := ask(t, tr, path); got.status != http.StatusOK {
				t.Errorf("offline=%v %s: %d %s", offline, path, got.status, got.body)
			}
		}
		if e := b.last(); !e.Stored || e.Digest.Value() != hash256(crate) {
			t.Errorf("%+v", e)
		}
		u.down.Store(true)
	}
}

func TestDebian(t *testing.T) {
	deb := []byte("a deb")
	name := "pool/main/h/hello/hello_1.0-1_" + runtime.GOARCH + ".deb"
	other := "pool/main/o/other/other_1.0-1_" + runtime.GOARCH + ".deb"
	var list bytes.Buffer
	z := gzip.NewWriter(&list)
	fmt.Fprintf(z, "Package: hello\nFilename: %s\nSHA256: %s\n\n", name, hash256(deb))
	z.Close()
	listPath := "main/binary-" + runtime.GOARCH + "/Packages.gz"
	release := fmt.Sprintf("Suite: stable\nSHA256:\n %s %d %s\n", hash256(list.Bytes()), list.Len(), listPath)
	served := deb
	u := newUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		switch strings.TrimPrefix(r.URL.Path, "/debian/") {
		case "dists/stable/InRelease":
			fmt.Fprint(rw, release)
		case "dists/stable/main/binary-" + runtime.GOARCH + "/by-hash/SHA256/" + hash256(list.Bytes()):
			_, _ = rw.Write(list.Bytes())
		case name, other:
			_, _ = rw.Write(served)
		default:
			http.NotFound(rw, r)
		}
	})
	const base = "http://deb.test/debian"
	c := Config{Ecosystem: registry.Debian, Base: base}
	dir := filepath.Join(t.TempDir(), "store")
	b := openBench(t, dir)
	tr := b.transport(u, c)
	if got := ask(t, tr, base+"/"+name); got.status != http.StatusOK || b.last().Stored {
		t.Errorf("no list was seen, yet %+v", b.last())
	}
	if got := ask(t, tr, base+"/dists/stable/InRelease"); got.status != http.StatusOK {
		t.Fatal(got.status)
	}
	b = openBench(t, dir) // another process knows it too
	tr = b.transport(u, c)
	served = []byte("evil")
	if got := ask(t, tr, base+"/"+name); got.status != http.StatusBadGateway || b.last().Reason != registry.ReasonIntegrity {
		t.Errorf("%d %+v", got.status, b.last())
	}
	served = deb
	if got := ask(t, tr, base+"/"+name); got.status != http.StatusOK || !b.last().Stored || b.last().Digest.Value() != hash256(deb) {
		t.Errorf("%d %+v", got.status, b.last())
	}
	if got := ask(t, tr, base+"/"+other); got.status != http.StatusOK || b.last().Stored {
		t.Errorf("in no list, yet %+v", b.last())
	}
	u.down.Store(true)
	c.Offline = true
	tr = b.transport(u, c)
	for _, p := range []string{name, "dists/stable/InRelease"} {
		if got := ask(t, tr, base+"/"+p); got.status != http.StatusOK {
			t.Errorf("offline %s: %d %s", p, got.status, got.body)
		}
	}
	if got := ask(t, tr, base+"/"+other); got.status != http.StatusGatewayTimeout || !strings.Contains(string(got.body), "other@1.0-1") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if !slices.ContainsFunc(b.events, func(e Event) bool { return e.FromStore && e.Name == "hello" }) {
		t.Errorf("%+v", b.events)
	}
}
