// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/zviz/run/internal/pairs"
)

const (
	memoryMost   = 60e6 // bytes of the runner, with a matrix of which most waits
	memoryRounds = 5
)

// memory prints how large the runner is while it runs a matrix of 256 cells: with two of
// them running and the others waiting, and with all of them running.
func memory(ctx context.Context, p place, t *tool, o options, out io.Writer) error {
	fmt.Fprintln(out, "\nThe runner's PSS, MB, 256 cells of a matrix in which the running ones sleep\n\n| | median | most | budget | |\n|---|---|---|---|---|")
	for _, row := range []struct {
		name     string
		parallel int
		budget   float64
	}{{"2 run, 254 wait", 2, memoryMost}, {"256 run", 256, 0}} {
		var sizes []float64
		for range memoryRounds {
			size, err := pss(ctx, p, t, row.parallel, o.limit)
			if err != nil {
				return fmt.Errorf("memory: %s: %w", row.name, err)
			}
			sizes = append(sizes, size/1e6)
		}
		most, budget, says := pairs.Quantile(sizes, 1), "", ""
		if row.budget > 0 {
			budget, says = fmt.Sprintf("≤ %.0f", row.budget/1e6), pairs.Interval{Low: pairs.Quantile(sizes, 0), High: most}.AtMost(row.budget/1e6)
		}
		fmt.Fprintf(out, "| %s | %.1f | %.1f | %s | %s |\n", row.name, pairs.Quantile(sizes, 0.5), most, budget, says)
	}
	return nil
}

// pss is the runner's while so many cells run at a time, bytes.
func pss(ctx context.Context, p place, t *tool, parallel int, limit time.Duration) (_ float64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("timed out"))
	defer cancel()
	file, err := p.write(cells(256, "echo asleep; exec sleep infinity"))
	if err != nil {
		return 0, err
	}
	args := append(t.args(file), "--parallel", strconv.Itoa(parallel), "--progress", "plain")
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = p.repo, p.environ()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	lines, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		for range 2 { // the second one kills
			_ = cmd.Process.Signal(syscall.SIGINT)
			time.Sleep(300 * time.Millisecond)
		}
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait() // by our signal
	}()
	asleep := 0
	for s := bufio.NewScanner(lines); asleep < parallel && s.Scan(); {
		if strings.HasSuffix(s.Text(), "│ asleep") {
			asleep++
		}
	}
	if asleep < parallel {
		return 0, fmt.Errorf("it ended before %d cells ran: %s", parallel, strings.TrimSpace(stderr.String()))
	}
	return readPSS(cmd.Process.Pid)
}

// readPSS is the proportional set size of a process, bytes: proc(5).
func readPSS(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return float64(kb) * 1024, err
		}
	}
	return 0, errors.New("there is no Pss in smaps_rollup")
}
