// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// runnerMemory is what the runner itself may take, whatever a job does.
const runnerMemory = 50 << 20

// measured runs the runner to its end and returns its VmHWM in bytes. The rusage
// of a child would do, but for its maximum being that of any child of it too.
func measured(t *testing.T, cmd *exec.Cmd) (peak int64, ended time.Time) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // its exit code is the job's
		ended = time.Now()
	}()
	status := "/proc/" + strconv.Itoa(cmd.Process.Pid) + "/status"
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(status); err == nil {
			if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
				if kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64); err == nil {
					peak = max(peak, kb<<10)
				}
			}
		}
		select {
		case <-done:
			return peak, ended
		case <-tick.C:
		}
	}
}
