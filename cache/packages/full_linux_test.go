// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
	"github.com/zviz/run/internal/testenv"
)

// A store on a disk that is full does not take the job's packages from it, unless
// a rule needs what cannot be kept.
func TestDiskFull(t *testing.T) {
	testenv.NeedRoot(t)
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		testenv.Missing(t, "needs a mount: %v", err)
	}
	n := &npmRegistry{}
	v := n.add("x", "1.0.0", 400*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	t.Run("", func(t *testing.T) { // its store is closed before the disk goes
		b := openBench(t, filepath.Join(dir, "store"))
		fill := filepath.Join(dir, "fill")
		if err := os.WriteFile(fill, make([]byte, 2<<20), 0o600); err == nil {
			t.Fatal("the disk is not full")
		}
		for _, url := range []string{npmBase + "x", tgz("x", "1.0.0")} {
			got := ask(t, b.transport(u, Config{}), url)
			if got.status != http.StatusOK || url != npmBase+"x" && !bytes.Equal(got.body, v.tarball) {
				t.Errorf("%s: %d %v", url, got.status, got.err)
			}
			if e := b.last(); e.Verdict != Note || e.Stored {
				t.Errorf("%+v", e)
			}
			if got := ask(t, b.transport(u, Config{Rules: registry.Rules{MinReleaseAge: day}}), url); got.err == nil {
				t.Errorf("with a rule: %s: %d", url, got.status)
			}
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, b.transport(u, Config{}), tgz("x", "1.0.0")); !bytes.Equal(got.body, v.tarball) || !b.last().Stored {
			t.Errorf("with space again: %d %+v", got.status, b.last())
		}
	})
	if err := syscall.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
}

// What the lockfile says is compared also with what the store does not keep.
func TestLockfileDigestOfUnkept(t *testing.T) {
	n := &npmRegistry{}
	v := n.add("x", "1.0.0", 400*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	var disk syscall.Statfs_t
	if err := syscall.Statfs(t.TempDir(), &disk); err != nil {
		t.Fatal(err)
	}
	for _, free := range []int64{-1, 2 * int64(disk.Bavail) * disk.Bsize} {
		files, err := store.Open(store.Config{Dir: filepath.Join(t.TempDir(), "store"), MinFree: free})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = files.Close() })
		b := newBench(t)
		b.pool = New(files)
		for sum, status := range map[string]int{hexOf(sha1Of(v.tarball)): http.StatusOK, strings.Repeat("a", 40): http.StatusBadGateway} {
			d, err := store.NewDigest(store.SHA1, sum)
			if err != nil {
				t.Fatal(err)
			}
			lock := registry.NewLock(registry.Locked{Ecosystem: registry.NPM, Name: "x", Version: "1.0.0", Digests: []store.Digest{d}})
			if got := ask(t, b.transport(u, Config{Rules: registry.Rules{Lock: lock}}), tgz("x", "1.0.0")); got.status != status {
				t.Errorf("%d stay free, %s: %d %v", free, d, got.status, got.err)
			}
		}
	}
}
