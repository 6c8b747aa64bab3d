// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zviz/run/cache/registry"
)

// Two runners of one machine fetch a file once. Their stores are opened apart, as
// those of two processes are: locks of flock(2) belong to an open file.
func TestTwoRunners(t *testing.T) {
	n := &npmRegistry{delay: 30 * time.Millisecond}
	v := n.add("x", "1.0.0", 100*day, nil)
	v.tarball = tarball("x", "1.0.0", nil, 1<<20)
	u := newUpstream(t, n.ServeHTTP)
	dir := filepath.Join(t.TempDir(), "store")
	var group sync.WaitGroup
	for range 4 {
		tr := openBench(t, dir).transport(u, Config{})
		for range 3 {
			group.Go(func() {
				if got := ask(t, tr, tgz("x", "1.0.0")); !bytes.Equal(got.body, v.tarball) {
					t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.err)
				}
			})
		}
	}
	group.Wait()
	if u.total() != 2 {
		t.Errorf("asked %v", u.asked)
	}
}

// A packument of 60 MB: it goes through in bounded memory, and asking again costs
// nothing.
func TestLargePackument(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const versions = 6000
	var doc bytes.Buffer
	doc.WriteString(`{"name":"big","dist-tags":{"latest":"1.0.5999"},"versions":{`)
	times := map[string]string{}
	for i := range versions {
		if i > 0 {
			doc.WriteByte(',')
		}
		version := fmt.Sprintf("1.0.%d", i)
		fmt.Fprintf(&doc, `%q:{"name":"big","version":%q,"readme":%q,"dist":{"integrity":%q,"tarball":"%sbig/-/big-%s.tgz"}}`, version, version, strings.Repeat("x", 10_000), integrity([]byte(version)), npmBase, version)
		times[version] = time.Now().Add(-time.Duration(versions-i) * time.Hour).UTC().Format(time.RFC3339)
	}
	doc.WriteString(`},"time":`)
	b, err := json.Marshal(times)
	if err != nil {
		t.Fatal(err)
	}
	doc.Write(b)
	doc.WriteByte('}')
	whole := doc.Bytes()
	u := newUpstream(t, func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(whole) })
	tr := newBench(t).transport(u, Config{Rules: registry.Rules{MinReleaseAge: 7 * day}})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var hash []string
	for i := range 3 {
		start := time.Now()
		got := ask(t, tr, npmBase+"big", "Accept", registry.NPMAbbreviated)
		took := time.Since(start)
		left, latest := versionsOf(t, got.body)
		if len(left) != versions-168 && len(left) != versions-167 || latest != left[len(left)-1] && !strings.HasPrefix(latest, "1.0.58") {
			t.Errorf("%d versions, latest %s", len(left), latest)
		}
		hash = append(hash, got.header.Get("Etag"))
		t.Logf("%d: %v, %d of %d bytes", i, took, len(got.body), len(whole))
	}
	runtime.GC()
	runtime.GC() // what a sync.Pool holds goes with the second one
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 16<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
	if hash[0] != hash[2] && u.total() != 1 {
		t.Errorf("made anew: %v, asked %v", hash, u.asked)
	}
}
