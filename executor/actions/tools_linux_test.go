// SPDX-License-Identifier: Apache-2.0

package actions_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/zviz/run/cache/node"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/actions"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/internal/testenv"
)

// hostNode is the major version of the node in PATH.
func hostNode(t *testing.T) int {
	t.Helper()
	out, err := exec.Command(testenv.NeedTool(t, "node"), "-p", "process.versions.node.split('.')[0]").Output()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// version starts a program inside.
func version(t *testing.T, cell *executor.Cell, p job.Program) string {
	t.Helper()
	var out bytes.Buffer
	res, err := cell.Run(t.Context(), executor.Step{Args: []string{p.Path, "--version"}, Dir: executor.RunnerWork, Mounts: p.Mounts, Stdout: &out, Stderr: &out})
	if err != nil || res.ExitCode != 0 {
		t.Errorf("%+v %v", res, err)
	}
	return strings.TrimSpace(out.String())
}

// TestNode: the one in PATH, then those of version managers, before what is fetched.
func TestNode(t *testing.T) {
	host := hostNode(t)
	cell := openCell(t)
	home, err := os.MkdirTemp("/var/tmp", "zviz-home") //nolint:usetesting // a step reads it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	tools := &actions.Tools{Home: home}
	t.Cleanup(func() { _ = tools.Close() })
	keep := func(dir string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(home, dir, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, dir, "bin/node"), []byte("#!/bin/sh\necho "+dir+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	find := func(wanted, least int) (job.Program, string) {
		t.Helper()
		p, err := tools.For(cell).Node(t.Context(), wanted, least)
		if err != nil {
			t.Fatal(err)
		}
		return p, version(t, cell, p)
	}
	if p, v := find(host, host); !strings.HasPrefix(v, "v"+strconv.Itoa(host)+".") || p.Note != "" || len(p.Mounts) > 0 {
		t.Errorf("%s %+v", v, p)
	}
	if p, v := find(host-1, host-1); !strings.HasPrefix(v, "v"+strconv.Itoa(host)+".") || !strings.Contains(p.Note, "at GitHub it is Node.js "+strconv.Itoa(host-1)) {
		t.Errorf("%s %+v", v, p)
	}
	if p, v := find(host+4, host); !strings.HasPrefix(v, "v"+strconv.Itoa(host)+".") || !strings.Contains(p.Note, "at GitHub it is Node.js "+strconv.Itoa(host+4)) {
		t.Errorf("%s %+v", v, p)
	}
	_, err = tools.For(cell).Node(t.Context(), 90, 90)
	var hint interface{ Hint() string }
	if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "install Node.js 90") || !strings.Contains(err.Error(), "needs Node.js 90 or newer, and the runner's PATH has "+strconv.Itoa(host)+".") {
		t.Error(err)
	}
	keep(".nvm/versions/node/v90.9.1")
	keep(".nvm/versions/node/v90.10.0")
	keep(".nvm/versions/node/system")
	keep(".volta/tools/image/node/91.0.0")
	keep(".local/share/mise/installs/node/93.0.0")
	for _, tt := range []struct {
		wanted int
		want   string
		note   string
	}{{90, ".nvm/versions/node/v90.10.0", ""}, {91, ".volta/tools/image/node/91.0.0", ""}, {92, ".local/share/mise/installs/node/93.0.0", "Node.js 93.0.0 of mise runs this action; at GitHub it is Node.js 92."}} {
		if p, v := find(tt.wanted, tt.wanted); v != tt.want || p.Note != tt.note {
			t.Errorf("%d: %s %q", tt.wanted, v, p.Note)
		}
	}
}

// TestOnlineFetchedNode runs a Node.js of the registry that this machine's npm is configured for.
func TestOnlineFetchedNode(t *testing.T) {
	if os.Getenv("ZVIZ_TEST_ONLINE") != "1" {
		t.Skip("needs the network: set ZVIZ_TEST_ONLINE=1")
	}
	cell := openCell(t)
	x, err := executor.New(executor.Config{StateDir: t.TempDir(), Home: os.Getenv("HOME"), Environ: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "zviz-node") //nolint:usetesting // a step reads it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	tools := &actions.Tools{Open: func() (*node.Store, error) {
		return node.Open(node.Config{Dir: dir, Registry: func(ctx context.Context) (node.Registry, error) {
			a, err := x.Registry(ctx, "npm", egress.Upstream{}, nil)
			return node.Registry(a), err
		}})
	}}
	t.Cleanup(func() { _ = tools.Close() })
	p, err := tools.For(cell).Node(t.Context(), 24, 24)
	if err != nil {
		t.Fatal(err)
	}
	if v := version(t, cell, p); !strings.HasPrefix(v, "v24.") {
		t.Errorf("%s", v)
	}
}
