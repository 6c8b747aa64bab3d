// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/zviz/run/cache/registry"
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
