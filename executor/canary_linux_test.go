// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"errors"
	"testing"

	"github.com/zviz/run/executor"
)

// A planted credential in what a step prints ends it, and nothing of the job runs any
// more: a step that finds one has read it for all of them.
func TestCanaryEndsTheJob(t *testing.T) {
	cell := openCell(t, executor.CellRequest{})
	run := func(script string) (string, error) {
		var out buffer
		_, err := cell.Run(t.Context(), executor.Step{Args: []string{"sh", "-c", script}, Dir: executor.RunnerWork, Stdout: &out, Stderr: &out})
		return out.String(), err
	}
	wait := "while ! [ -s ~/.aws/credentials ]; do sleep 0.01; done; "
	if out, err := run(wait + "cat ~/.aws/credentials >/dev/null; echo read"); err != nil || out != "read\n" {
		t.Fatalf("who only reads: %q %v", out, err)
	}
	out, err := run(wait + "base64 -w0 ~/.aws/credentials; exec >/dev/null 2>&1; sleep 60")
	var found *executor.CanaryError
	if !errors.As(err, &found) || found.Credential != "cloud key of ~/.aws/credentials" || found.Where != "its output" {
		t.Fatalf("got %q %v", out, err)
	}
	if out, err = run("echo later"); !errors.As(err, &found) || out != "" {
		t.Errorf("a later step: %q %v", out, err)
	}
}

func TestNoCanaries(t *testing.T) {
	cell := openCell(t, executor.CellRequest{Policy: executor.Policy{NoCanaries: true}})
	if out, _ := step(t, cell, "sleep 0.1; ls -A ~ | grep -v '^work$'"); out != "" {
		t.Errorf("in the home: %q", out)
	}
}
