// SPDX-License-Identifier: Apache-2.0

package results

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T, cfg Config) *Run {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "out")
	}
	if cfg.FreeBytes == 0 {
		cfg.FreeBytes = 1
	}
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(cfg.Dir, tempPrefix+"*")); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
	return r
}

// client is one of a job.
type client struct {
	t     *testing.T
	run   *Run
	job   *Job
	url   string
	token string
}

func newClient(t *testing.T, r *Run, id string) *client {
	t.Helper()
	j, err := r.Job(id)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(j)
	t.Cleanup(s.Close)
	return &client{t, r, j, s.URL, j.Token()}
}

// call calls a method; more overrides the ids.
func (c *client) call(method string, more map[string]any) (int, map[string]any) {
	c.t.Helper()
	body := map[string]any{"workflow_run_backend_id": c.run.id, "workflow_job_run_backend_id": c.job.id}
	maps.Copy(body, more)
	b, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, c.url+artifactService+method, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	status, text := c.do(r)
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		c.t.Fatalf("%s answers no JSON: %d %q", method, status, text)
	}
	return status, out
}

func (c *client) do(r *http.Request) (int, string) {
	c.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// send sends to an address of ours.
func (c *client) send(method, address, query string, body []byte, header ...string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequest(method, address+query, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return c.do(r)
}

func blockID(i int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "block-%048d", i))
}

func (c *client) block(address string, i int, body []byte) (int, string) {
	c.t.Helper()
	return c.send("PUT", address, "&comp=block&blockid="+url.QueryEscape(blockID(i)), body)
}

func (c *client) list(address, kind string, ids ...int) (int, string) {
	c.t.Helper()
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?><BlockList>`)
	for _, i := range ids {
		fmt.Fprintf(&b, "<%s>%s</%s>", kind, blockID(i), kind)
	}
	b.WriteString("</BlockList>")
	return c.send("PUT", address, "&comp=blocklist", []byte(b.String()))
}

func (c *client) create(name string, more ...any) string {
	c.t.Helper()
	q := map[string]any{"name": name, "version": 7, "mime_type": zipType}
	for i := 0; i+1 < len(more); i += 2 {
		q[more[i].(string)] = more[i+1]
	}
	status, out := c.call("CreateArtifact", q)
	if status != 200 {
		c.t.Fatalf("create %q: %d %v", name, status, out)
	}
	return out["signed_upload_url"].(string)
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return digestPrefix + hex.EncodeToString(sum[:])
}

func (c *client) finalize(name string, data []byte) (int, map[string]any) {
	c.t.Helper()
	return c.call("FinalizeArtifact", map[string]any{"name": name, "size": strconv.Itoa(len(data)), "hash": digestOf(data)})
}

// upload uploads in one piece.
func (c *client) upload(name string, data []byte, more ...any) {
	c.t.Helper()
	address := c.create(name, more...)
	want(c.t, 201)(c.send("PUT", address, "", data, "X-Ms-Blob-Type", "BlockBlob"))
	if status, out := c.finalize(name, data); status != 200 {
		c.t.Fatalf("finalize %q: %d %v", name, status, out)
	}
}

// want wants a status, and a code in the text.
func want(t *testing.T, status int, code ...string) func(int, string) {
	t.Helper()
	return func(got int, text string) {
		t.Helper()
		if got != status || len(code) > 0 && !strings.Contains(text, code[0]) {
			t.Errorf("got %d %q, want %d %q", got, text, status, code)
		}
	}
}

func wantCall(t *testing.T, status int, code string) func(int, map[string]any) {
	t.Helper()
	return func(got int, out map[string]any) {
		t.Helper()
		if got != status || code != "" && out["code"] != code {
			t.Errorf("got %d %v, want %d %s", got, out, status, code)
		}
	}
}

func (c *client) link(name, owner string) string {
	c.t.Helper()
	status, out := c.call("GetSignedArtifactURL", map[string]any{"name": name, "workflow_job_run_backend_id": owner})
	if status != 200 {
		c.t.Fatalf("link %q: %d %v", name, status, out)
	}
	return out["signed_url"].(string)
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), reserved) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}

// TestTemporary: jobs of a run hand artifacts to each other, and nothing says later what
// was there.
func TestTemporary(t *testing.T) {
	r := open(t, Config{Temporary: true})
	build, test := newClient(t, r, "build"), newClient(t, r, "test")
	build.upload("a", []byte("of the first job"))
	if status, text := test.send("GET", test.link("a", "build"), "", nil); status != 200 || text != "of the first job" {
		t.Errorf("%d %q", status, text)
	}
	if _, err := r.root.Stat(manifestIn); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the list is there: %v", err)
	}
}

// TestBlocks: blocks in any order, again, and at the same time; the list decides.
func TestBlocks(t *testing.T) {
	r := open(t, Config{})
	c := newClient(t, r, "build")
	address := c.create("my art")
	random := rand.New(rand.NewPCG(1, 2))
	var blocks [][]byte
	for i := range 9 {
		b := bytes.Repeat([]byte{byte('a' + i)}, 1000+random.IntN(5000))
		blocks = append(blocks, b)
	}
	var wg sync.WaitGroup
	for _, i := range random.Perm(len(blocks)) {
		wg.Go(func() { want(t, 201)(c.block(address, i, blocks[i])) })
	}
	wg.Wait()
	want(t, 201)(c.block(address, 3, []byte("the third one again")))
	blocks[3] = []byte("the third one again")
	want(t, 400, "InvalidBlockList")(c.list(address, "Latest", 0, 1, 99))
	wantCall(t, 400, "failed_precondition")(c.finalize("my art", nil))
	if got := files(t, r.cfg.Dir); len(got) > 0 {
		t.Errorf("visible before its end: %v", got)
	}
	order := []int{8, 0, 1, 2, 3, 4, 5, 7} // 6 is left out
	var data []byte
	for _, i := range order {
		data = append(data, blocks[i]...)
	}
	want(t, 201)(c.list(address, "Latest", order...))
	want(t, 201)(c.list(address, "Latest", order...)) // the client did not get the first answer
	want(t, 400, "InvalidBlockList")(c.list(address, "Uncommitted", order...))
	want(t, 400, "InvalidBlockList")(c.list(address, "Latest", 6)) // gone with the list
	want(t, 201)(c.list(address, "Committed", order...))
	wantCall(t, 409, "aborted")(c.finalize("my art", []byte("something else")))
	for range 2 { // it may be asked again
		status, out := c.finalize("my art", data)
		if status != 200 || out["artifact_id"] != "1" || out["ok"] != true {
			t.Fatalf("%d %v", status, out)
		}
	}
	if diff := cmp.Diff(map[string]string{"my art.zip": string(data)}, files(t, r.cfg.Dir)); diff != "" {
		t.Error(diff)
	}
	want(t, 404)(c.block(address, 1, nil))
	status, out := c.call("ListArtifacts", map[string]any{"name_filter": "my art", "id_filter": "1"})
	list := out["artifacts"].([]any)
	if status != 200 || len(list) != 1 {
		t.Fatalf("%d %v", status, out)
	}
	one := list[0].(map[string]any)
	if one["digest"] != digestOf(data) || one["size"] != strconv.Itoa(len(data)) || one["database_id"] != "1" {
		t.Errorf("%v", one)
	}
	if got, want := r.Artifacts(), (Artifact{"my art", "my art.zip", int64(len(data)), strings.TrimPrefix(digestOf(data), digestPrefix), "build", time.Time{}}); len(got) != 1 {
		t.Errorf("%v", got)
	} else if got[0].Created = (time.Time{}); got[0] != want {
		t.Errorf("%v, want %v", got[0], want)
	}
	if r.used != int64(len(data)) || r.blocks != 0 {
		t.Errorf("%d bytes and %d blocks are counted, want %d and 0", r.used, r.blocks, len(data))
	}
}

// TestOrder: what an upload counts for is its size, in whatever order its blocks came;
// clients send several at a time.
func TestOrder(t *testing.T) {
	r := open(t, Config{MaxBytes: 1500})
	c := newClient(t, r, "a")
	address := c.create("x")
	for i := range 10 {
		want(t, 201)(c.block(address, i, bytes.Repeat([]byte{byte(i)}, 100)))
	}
	counts := func(n int64) {
		t.Helper()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.used != n {
			t.Errorf("%d bytes are counted, want %d", r.used, n)
		}
	}
	want(t, 201)(c.list(address, "Latest", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
	counts(1000)
	want(t, 201)(c.list(address, "Latest", 9, 1, 2, 3, 4, 5, 6, 7, 8, 0))
	counts(1000)
	want(t, 201)(c.block(address, 10, make([]byte, 300)))
	counts(1300)
	want(t, 201)(c.list(address, "Latest", 10, 9, 1))
	counts(500)
	want(t, 201)(c.list(address, "Latest", 10, 10, 10, 10, 10))
	counts(1500)
	want(t, 403, "QuotaExceeded")(c.list(address, "Latest", 10, 10, 10, 10, 10, 10))
	counts(1500)
	want(t, 201)(c.list(address, "Latest", 10))
	counts(300)
}

// TestDownload: whole, in part, and with the type and name that it was given.
func TestDownload(t *testing.T) {
	r := open(t, Config{})
	c, other := newClient(t, r, "build"), newClient(t, r, "test")
	data := []byte("0123456789")
	c.upload("blå; report.txt", data, "mime_type", "text/plain; charset=utf-8")
	c.upload("old", data, "mime_type", nil, "version", 4)
	name := r.Artifacts()[0].Name
	address := other.link(name, "build")
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || string(b) != string(data) || resp.ContentLength != 10 || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" ||
		!strings.Contains(resp.Header.Get("Content-Disposition"), "filename*=UTF-8''bl%C3%A5%3B%20report.txt") {
		t.Errorf("%d %q %v", resp.StatusCode, b, resp.Header)
	}
	for _, h := range []string{"Range", "X-Ms-Range"} {
		status, text := other.send("GET", address, "", nil, h, "bytes=2-4")
		if status != 206 || text != "234" {
			t.Errorf("%s: %d %q", h, status, text)
		}
	}
	want(t, 416)(other.send("GET", address, "", nil, "Range", "bytes=50-"))
	want(t, 200)(other.send("HEAD", address, "", nil))
	resp, err = http.Get(other.link("old", "build"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Content-Type") != zipType {
		t.Errorf("version 4 names no type: %v", resp.Header)
	}
	// The user's folder is the user's: what was changed there is not handed out.
	if err := os.WriteFile(filepath.Join(r.cfg.Dir, "old.zip"), []byte("9876543210"), 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, 404, "BlobNotFound")(other.send("GET", other.link("old", "build"), "", nil))
}

// TestDelete: a job overwrites what it made, and nothing of others.
func TestDelete(t *testing.T) {
	r := open(t, Config{})
	a, b := newClient(t, r, "a"), newClient(t, r, "b")
	a.upload("x", []byte("one"))
	wantCall(t, 409, "already_exists")(b.call("CreateArtifact", map[string]any{"name": "x", "version": 7}))
	wantCall(t, 409, "already_exists")(a.call("CreateArtifact", map[string]any{"name": "x", "version": 7}))
	wantCall(t, 403, "permission_denied")(b.call("DeleteArtifact", map[string]any{"name": "x", "workflow_job_run_backend_id": "a"}))
	wantCall(t, 404, "not_found")(b.call("DeleteArtifact", map[string]any{"name": "x"}))
	address := b.link("x", "a")
	wantCall(t, 200, "")(a.call("DeleteArtifact", map[string]any{"name": "x"}))
	want(t, 404, "BlobNotFound")(b.send("GET", address, "", nil))
	if got := files(t, r.cfg.Dir); len(got) > 0 || r.used != 0 {
		t.Errorf("left: %v, %d bytes", got, r.used)
	}
	a.upload("x", []byte("two"))
	want(t, 404, "BlobNotFound")(b.send("GET", address, "", nil)) // it was for the first one
	if diff := cmp.Diff(map[string]string{"x.zip": "two"}, files(t, r.cfg.Dir)); diff != "" {
		t.Error(diff)
	}
}

// TestDeleteAny: with the option any job of the run can.
func TestDeleteAny(t *testing.T) {
	r := open(t, Config{DeleteAny: true})
	a, b := newClient(t, r, "a"), newClient(t, r, "b")
	a.upload("x", []byte("one"))
	wantCall(t, 200, "")(b.call("DeleteArtifact", map[string]any{"name": "x", "workflow_job_run_backend_id": "a"}))
	b.upload("x", []byte("two"))
	if diff := cmp.Diff(map[string]string{"x.zip": "two"}, files(t, r.cfg.Dir)); diff != "" {
		t.Error(diff)
	}
}

// TestTokens: a token is its job's, and only until its end.
func TestTokens(t *testing.T) {
	r := open(t, Config{})
	a, b := newClient(t, r, "a"), newClient(t, r, "b")
	a.upload("x", []byte("data"))
	own := a.token
	half := a.create("half")
	want(t, 201)(a.block(half, 0, []byte("z")))
	link := a.link("x", "a")
	for _, token := range []string{"", "x", b.token, own[:len(own)-1], own + own} {
		a.token = token
		wantCall(t, 401, "unauthenticated")(a.call("ListArtifacts", nil))
	}
	a.token = own
	wantCall(t, 200, "")(a.call("ListArtifacts", nil))
	// The ids in a request are compared with the token's.
	wantCall(t, 403, "permission_denied")(a.call("CreateArtifact", map[string]any{"name": "y", "version": 7, "workflow_job_run_backend_id": "b"}))
	wantCall(t, 403, "permission_denied")(a.call("ListArtifacts", map[string]any{"workflow_run_backend_id": "other"}))
	a.job.End()
	wantCall(t, 401, "unauthenticated")(a.call("ListArtifacts", nil))
	want(t, 403, "AuthenticationFailed")(a.block(half, 1, []byte("z")))
	want(t, 403, "AuthenticationFailed")(a.send("GET", link, "", nil))
	if len(r.uploads) > 0 || r.used != 4 || r.blocks != 0 {
		t.Errorf("%d uploads, %d bytes, %d blocks are left", len(r.uploads), r.used, r.blocks)
	}
	// What it finished is there for others, and its name is free for them no more.
	want(t, 200)(b.send("GET", b.link("x", "a"), "", nil))
	b.create("half")
	if _, err := r.Job("a"); err == nil {
		t.Error("a job began twice")
	}
}

// TestTokenForm: clients find the ids in it.
func TestTokenForm(t *testing.T) {
	r := open(t, Config{})
	j, err := r.Job("build-1")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(j.Token(), ".")
	if len(parts) != 3 {
		t.Fatal(j.Token())
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Scope string `json:"scp"`
		Until int64  `json:"exp"`
	}
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Scope != "Actions.Results:"+r.id+":build-1" || claims.Until < time.Now().Unix() {
		t.Errorf("%+v", claims)
	}
	for _, id := range []string{"", "a:b", "a b", strings.Repeat("x", 300)} {
		if _, err := r.Job(id); err == nil {
			t.Errorf("%q is taken for an id", id)
		}
	}
}

// TestAddresses: an address is for one blob, one job, one use and a time.
func TestAddresses(t *testing.T) {
	r := open(t, Config{})
	a, b := newClient(t, r, "a"), newClient(t, r, "b")
	a.upload("x", []byte("data"))
	a.upload("y", []byte("other"))
	write, read := a.create("z"), a.link("x", "a")
	change := func(address string, f func(u *url.URL, q url.Values)) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		f(u, q)
		u.RawQuery = q.Encode()
		return u.String()
	}
	set := func(k, v string) func(*url.URL, url.Values) {
		return func(_ *url.URL, q url.Values) { q.Set(k, v) }
	}
	denied := want(t, 403, "AuthenticationFailed")
	denied(a.send("GET", change(read, func(u *url.URL, _ url.Values) { u.Path = strings.Replace(u.Path, "/1/", "/2/", 1) }), "", nil))
	denied(a.send("GET", change(read, set("se", "9999999999")), "", nil))
	denied(a.send("GET", change(read, set("se", "")), "", nil))
	denied(a.send("GET", change(read, set("sig", strings.Repeat("0", 64))), "", nil))
	denied(a.send("GET", change(read, set("sig", "")), "", nil))
	denied(a.send("PUT", read, "", []byte("x")))
	denied(a.send("GET", write, "", nil))
	denied(a.send("GET", strings.Replace(read, "/data", "/data/../data2", 1), "", nil))
	want(t, 405)(a.send("DELETE", write, "", nil))
	// In another job's network it is worth nothing, even if that one found it.
	denied(b.send("GET", strings.Replace(read, a.url, b.url, 1), "", nil))
	denied(b.send("PUT", strings.Replace(write, a.url, b.url, 1), "", []byte("x")))
	past := a.job.address(a.url, toRead, "1", time.Now().Add(-time.Second))
	denied(a.send("GET", past, "", nil))
	want(t, 200)(a.send("GET", a.job.address(a.url, toRead, "1", time.Now().Add(time.Minute)), "", nil))
	want(t, 200)(a.send("GET", read, "&comp=anything", nil)) // clients add to it
}

// TestNames: no name becomes a path, or somebody else's file.
func TestNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	r := open(t, Config{Dir: dir})
	c := newClient(t, r, "a")
	for _, name := range []string{
		"", ".", "..", "../x", "a/b", "/etc/passwd", `a\b`, "a\x00b", "a\nb", "a:b", "a*", "a?", `a"b`, "a<b", "a>b", "a|b", "\x7f", "\u0085",
		manifestIn, tempPrefix + "x", strings.Repeat("x", longestName+1), "a/../../b", "\xff",
	} {
		status, out := c.call("CreateArtifact", map[string]any{"name": name, "version": 7, "mime_type": "text/plain"})
		// JSON has no bytes that are no UTF-8: what arrives is another name.
		if status != 400 && name != "\xff" {
			t.Errorf("%q: %d %v", name, status, out)
		}
	}
	wantCall(t, 400, "invalid_argument")(c.call("CreateArtifact", map[string]any{"name": "old", "version": 3}))
	if err := checkName("\xff"); err == nil {
		t.Error("no UTF-8 is taken for a name")
	}
	// An artifact and a file that want the same name.
	c.upload("a", []byte("1"))
	c.upload("a.zip", []byte("2"))
	c.upload("A.ZIP", []byte("3"))
	c.upload("a-2.zip", []byte("4"))
	c.upload(".envrc", []byte("5"), "mime_type", "text/plain")
	c.upload(strings.Repeat("é", longestName/2), []byte("6"))
	got := files(t, dir)
	for file, text := range map[string]string{"a.zip": "1", "a-2.zip": "2", "A.ZIP": "3", "a-2-2.zip": "4", ".envrc": "5", strings.Repeat("é", longestName/2) + ".zip": "6"} {
		if got[file] != text {
			t.Errorf("%s is %q, want %q", file, got[file], text)
		}
	}
	for _, entry := range []string{filepath.Dir(dir)} {
		if left, _ := os.ReadDir(entry); len(left) != 1 {
			t.Errorf("beside the folder: %v", left)
		}
	}
}

// TestBomb: an archive is kept as it is.
func TestBomb(t *testing.T) {
	r := open(t, Config{MaxBytes: 1 << 20})
	c := newClient(t, r, "a")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"../../escape", "/etc/x", "bomb"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 4<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	c.upload("bomb", b.Bytes())
	if got := files(t, r.cfg.Dir); len(got) != 1 || got["bomb.zip"] != b.String() {
		t.Errorf("%d files", len(got))
	}
}

// TestBounds: bytes, blocks, uploads.
func TestBounds(t *testing.T) {
	r := open(t, Config{MaxBytes: 1000})
	c := newClient(t, r, "a")
	address := c.create("x")
	want(t, 201)(c.block(address, 0, make([]byte, 600)))
	want(t, 403, "QuotaExceeded")(c.block(address, 1, make([]byte, 600)))
	want(t, 403, "QuotaExceeded")(c.send("PUT", address, "", make([]byte, 600)))
	want(t, 400, "InvalidQueryParameterValue")(c.send("PUT", address, "&comp=block&blockid="+base64.StdEncoding.EncodeToString(make([]byte, 65)), nil))
	want(t, 400, "InvalidQueryParameterValue")(c.send("PUT", address, "&comp=block", nil))
	want(t, 400, "InvalidQueryParameterValue")(c.send("PUT", address, "&comp=page", nil))
	want(t, 400, "InvalidQueryParameterValue")(c.send("PUT", address, "", nil, "X-Ms-Blob-Type", "PageBlob"))
	req, err := http.NewRequest(http.MethodPut, address, io.MultiReader(strings.NewReader("x"))) // chunked
	if err != nil {
		t.Fatal(err)
	}
	want(t, 411)(c.do(req))
	if c.create("x") == address { // drops the first one
		t.Error("the same address twice")
	}
	if r.used != 0 || r.blocks != 0 {
		t.Errorf("%d bytes and %d blocks are left", r.used, r.blocks)
	}
	for i := range uploadsMost - 1 {
		c.create("u" + strconv.Itoa(i))
	}
	wantCall(t, 403, "resource_exhausted")(c.call("CreateArtifact", map[string]any{"name": "more", "version": 7}))
	r.blocks = allBlocksMost
	want(t, 403, "QuotaExceeded")(c.block(c.create("u0"), 0, nil))
	r.blocks = 0
	wantCall(t, 400, "invalid_argument")(c.call("CreateArtifact", map[string]any{"name": strings.Repeat("x", twirpMost)}))
	full := open(t, Config{FreeBytes: 1 << 60})
	d := newClient(t, full, "a")
	want(t, 403, "QuotaExceeded")(d.block(d.create("x"), 0, []byte("x")))
}

// TestPartial: what ends early is nothing.
func TestPartial(t *testing.T) {
	r := open(t, Config{})
	c := newClient(t, r, "a")
	address := c.create("x")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{u.RawQuery, u.RawQuery + "&comp=block&blockid=" + url.QueryEscape(blockID(0))} {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT %s?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this", u.Path, query)
		_ = conn.(*net.TCPConn).CloseWrite()
		b, _ := io.ReadAll(conn)
		conn.Close()
		if !bytes.Contains(b, []byte("400 Bad Request")) {
			t.Errorf("%q", b)
		}
	}
	want(t, 400, "InvalidBlockList")(c.list(address, "Latest", 0))
	wantCall(t, 400, "failed_precondition")(c.finalize("x", []byte("only this")))
	if r.used != 0 {
		t.Errorf("%d bytes are counted", r.used)
	}
}

// TestFolder: whose folder is taken, and what a killed run leaves.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{Dir: dir})
	folder, ok := errors.AsType[*FolderError](err)
	if !ok || folder.Hint() == "" || !strings.Contains(err.Error(), "main.go") {
		t.Fatalf("%v", err)
	}
	dir = filepath.Join(t.TempDir(), "a", "b")
	r := open(t, Config{Dir: dir})
	if _, err := Open(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("%v", err)
	}
	c := newClient(t, r, "a")
	c.upload("x", []byte("first"))
	c.upload("kept", []byte("first"))
	half := c.create("half")
	want(t, 201)(c.block(half, 0, []byte("half")))
	// Killed: no Close, and the lock is free.
	if err := r.folder.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, tempPrefix+"*", "*")); len(left) == 0 {
		t.Error("nothing is being uploaded")
	}
	if err := os.WriteFile(filepath.Join(dir, "mine.zip"), []byte("the user's"), 0o644); err != nil {
		t.Fatal(err)
	}
	again := open(t, Config{Dir: dir})
	if left, _ := filepath.Glob(filepath.Join(dir, tempPrefix+"*", "*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	d := newClient(t, again, "a")
	if _, out := d.call("ListArtifacts", nil); len(out["artifacts"].([]any)) > 0 {
		t.Errorf("artifacts of another run: %v", out)
	}
	d.upload("x", []byte("second"))
	d.upload("mine", []byte("the job's"))
	if diff := cmp.Diff(map[string]string{"x.zip": "second", "kept.zip": "first", "mine.zip": "the user's", "mine-2.zip": "the job's"}, files(t, dir)); diff != "" {
		t.Error(diff)
	}
	m, err := readManifest(again.root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range m.Artifacts {
		got = append(got, e.File+" "+e.Run)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"kept.zip " + r.id, "mine-2.zip " + again.id, "x.zip " + again.id}, got); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(dir, manifestIn), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(Config{Dir: dir}); err == nil {
		t.Error("a list that cannot be read is taken")
	}
}

// TestLinks: a link that somebody put into the folder is not followed.
func TestLinks(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := open(t, Config{})
	c := newClient(t, r, "a")
	c.upload("x", []byte("data"))
	link := c.link("x", "a")
	for _, name := range []string{"x.zip", "y.zip"} {
		_ = os.Remove(filepath.Join(r.cfg.Dir, name))
		if err := os.Symlink(outside, filepath.Join(r.cfg.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	want(t, 404, "BlobNotFound")(c.send("GET", link, "", nil))
	c.upload("y", []byte("data"))
	if b, err := os.ReadFile(outside); err != nil || string(b) != "secret" {
		t.Errorf("%q %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(r.cfg.Dir, "y-2.zip")); err != nil || string(b) != "data" {
		t.Errorf("%q %v", b, err)
	}
}

// TestRoutes: what is not served is said in JSON, at once.
func TestRoutes(t *testing.T) {
	r := open(t, Config{})
	c := newClient(t, r, "a")
	for _, path := range []string{"/", "/_apis/artifactcache/cache?keys=a", "/twirp/github.actions.results.api.v1.CacheService/CreateCacheEntry", artifactService + "MigrateArtifact", "/twirp/"} {
		req, err := http.NewRequest(http.MethodPost, c.url+path, strings.NewReader(`{"workflow_run_backend_id":"`+r.id+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		status, text := c.do(req)
		if status != 404 || !json.Valid([]byte(text)) {
			t.Errorf("%s: %d %q", path, status, text)
		}
	}
}

func TestRefused(t *testing.T) {
	for server, want := range map[string]bool{
		"": false, "https://github.com": false, "https://GitHub.com/": false, "https://acme.ghe.com": false, "http://zviz.localhost:80": false,
		"https://gitea.example.com": true, "https://192.0.2.1:3000": true, "http://localhost:3000": true, "https://github.com.evil.test": true, "https://ghe.com": true,
	} {
		if got := Refused(server); got != want {
			t.Errorf("%q: %v", server, got)
		}
	}
}
