// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/zviz/run/internal/testenv"
)

// A few kills; `make kills` does two hundred.
func TestKills(t *testing.T) { runKills(t, "-rounds", "15") }

// A few of the calls; `make faults` does them all.
func TestEveryCall(t *testing.T) { runKills(t, "-every-call", "-rounds", "12") }

func runKills(t *testing.T, args ...string) {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "unshare")
	testenv.NeedLandlock(t, 2)
	runner := testenv.Build(t, "github.com/zviz/run/cmd/zviz-runner")
	program := testenv.Build(t, "github.com/zviz/run/bench/kills")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, append([]string{"-runner", runner}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
