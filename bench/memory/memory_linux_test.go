// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestDescendants(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 60 & echo up; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, pid := range children(t, cmd.Process.Pid) {
			p, err := os.FindProcess(pid)
			if err == nil {
				p.Kill()
			}
		}
		_ = cmd.Wait()
	}()
	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	shell := cmd.Process.Pid
	all, below := children(t, os.Getpid()), children(t, shell)
	if len(below) != 1 || !slices.Contains(all, shell) || !slices.Contains(all, below[0]) {
		t.Errorf("got %v below us and %v below the shell %d, want the shell and its sleep", all, below, shell)
	}
}

func children(t *testing.T, of int) []int {
	t.Helper()
	pids, err := descendants(of)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

// What we take shows up in our own part.
func TestReadingGrows(t *testing.T) {
	before, err := anonymous(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const taken = 32 << 20
	mem := make([]byte, taken)
	for i := range mem {
		mem[i] = 1
	}
	after, err := anonymous(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if grown := after - before; grown < taken*3/4 || grown > taken*most {
		t.Errorf("grew by %d bytes after %d were taken (%d)", grown, taken, mem[taken-1])
	}
}
