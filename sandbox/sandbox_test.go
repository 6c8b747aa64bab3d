// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sandbox_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/seccomp"
)

func spec(t *testing.T) (sandbox.Spec, sandbox.Probe) {
	t.Helper()
	probe, err := sandbox.Measure()
	if err != nil {
		t.Fatal(err)
	}
	root, err := sandbox.HostRoot([]string{"/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc/alternatives", "/etc/ld.so.cache"})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "zviz-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return sandbox.Spec{
		ID: "test-" + t.Name()[4:], StateDir: dir, Home: "/home/job", Hostname: "zviz",
		Root: root, Profile: seccomp.CI(),
		IDs:    sandbox.IDMap{HostBase: 0x70000000, Count: 65536, UID: 1000, GID: 1000},
		Limits: sandbox.Limits{MemoryBytes: 1 << 30, Pids: 256},
	}, probe
}

func TestRun(t *testing.T) {
	s, probe := spec(t)
	sb, err := sandbox.New(s, probe)
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	var out bytes.Buffer
	p, err := sb.Start(t.Context(), &sandbox.Cmd{
		Args: []string{"sh", "-c", "id; cat /proc/self/status | egrep 'Cap|NoNew|Secc'; ls -la /proc/self/fd /dev /; cat /proc/self/uid_map; pwd; ps ax; mount; unshare -r true; hostname"},
		Env:  []string{"PATH=/usr/bin:/bin"}, Dir: "/tmp", Stdout: &out, Stderr: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Wait()
	t.Log(out.String())
	t.Logf("%+v %v", res, err)
	t.Log(p.Layers)
}
