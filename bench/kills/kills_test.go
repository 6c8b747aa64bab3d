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
func TestKills(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "unshare")
	testenv.NeedLandlock(t, 2)
	runner := testenv.Build(t, "github.com/zviz/run/cmd/zviz-runner")
	program := testenv.Build(t, "github.com/zviz/run/bench/kills")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-runner", runner, "-rounds", "15").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
