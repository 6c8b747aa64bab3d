// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tool is a program that runs workflows.
type tool struct {
	name    string
	missing string // why it cannot be measured
	args    func(file string) []string
}

// sample is one run.
type sample struct{ wall, cpu time.Duration }

// findTools returns the runner first.
func findTools(o options) ([]*tool, error) {
	runner, err := filepath.Abs(o.runner)
	if err != nil {
		return nil, err
	}
	act := &tool{name: "act", args: func(file string) []string {
		return []string{o.act, "push", "--workflows", file, "--platform", "ubuntu-latest=-self-hosted"}
	}}
	// Its server of the actions cache, which is there whether a job asks for it or not,
	// writes a file and synchronizes it at each start.
	bare := &tool{name: "act --no-cache-server", args: func(file string) []string { return append(act.args(file), "--no-cache-server") }}
	for _, t := range []*tool{act, bare} {
		if _, err := exec.LookPath(o.act); err != nil {
			t.missing = "act is not installed"
		}
	}
	return []*tool{{name: "zviz-runner run", args: func(file string) []string { return []string{runner, "run", file} }}, act, bare}, nil
}

// run runs a workflow and waits. A command's output goes where nobody reads it, for all
// alike.
func (t *tool) run(ctx context.Context, p place, file string, limit time.Duration) (sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("timed out"))
	defer cancel()
	args := t.args(file)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = p.repo, p.environ()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	begin := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(begin)}
	if err != nil {
		return s, fmt.Errorf("%s: %w: %s", t.name, errors.Join(err, context.Cause(ctx)), strings.TrimSpace(stderr.String()))
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return s, nil
}
