// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// place is a repository with workflows, and a home that nobody used before.
type place struct{ repo, home string }

func newPlace(ctx context.Context, dir string) (place, error) {
	p := place{repo: filepath.Join(dir, "repo"), home: filepath.Join(dir, "home")}
	for _, d := range []string{filepath.Join(p.repo, ".github", "workflows"), filepath.Join(p.home, ".config", "act")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return p, err
		}
	}
	// Without it act asks which images it shall use.
	if err := os.WriteFile(filepath.Join(p.home, ".config", "act", "actrc"), nil, 0o600); err != nil {
		return p, err
	}
	if err := os.WriteFile(filepath.Join(p.repo, "README"), []byte("a file\n"), 0o600); err != nil {
		return p, err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		{"-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "--quiet", "--message=first"},
	} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir, cmd.Env = p.repo, p.environ()
		if text, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("git %s: %w: %s", args[0], err, text)
		}
	}
	return p, nil
}

// environ is the environment of everything that is measured.
func (p place) environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.home, "LANG=C.UTF-8",
		"ACT_DISABLE_VERSION_CHECK=1", // else it asks a server, and waits for it
	}
}

// write writes a workflow and returns its path.
func (p place) write(text string) (string, error) {
	name := filepath.Join(p.repo, ".github", "workflows", "bench.yml")
	return name, os.WriteFile(name, []byte(text), 0o600)
}

// steps is a workflow of one job with n steps.
func steps(n int) string {
	return "on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n" + strings.Repeat("      - run: echo hello\n", n)
}

// cells is a workflow of one job with a matrix of n cells.
func cells(n int, run string) string {
	var b strings.Builder
	b.WriteString("on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix:\n        n: [0")
	for i := range n - 1 {
		fmt.Fprintf(&b, ", %d", i+1)
	}
	b.WriteString("]\n    steps:\n      - run: " + run + "\n")
	return b.String()
}

// jobs is a workflow of n jobs.
func jobs(n int) string {
	var b strings.Builder
	b.WriteString("on: push\njobs:\n")
	for i := range n {
		fmt.Fprintf(&b, "  job%d:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo hello\n", i)
	}
	return b.String()
}
