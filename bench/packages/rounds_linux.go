// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/zviz/run/internal/pairs"
)

// The budgets of npm ci with a warm store in a fresh sandbox: its processor time against
// that of npm alone.
const (
	budgetEmpty = 0.6 // with an empty cache
	budgetWarm  = 1.1 // with a warm one
)

// row is one way with its samples, by round.
type row struct {
	way
	cpu, wall []float64 // seconds
}

// warmUps are rounds that are not counted: they fill the caches and the store.
const warmUps = 2

func (s *site) rounds(ctx context.Context, n int) ([]row, error) {
	const kept = "warm"
	if err := os.Mkdir(s.path(kept), 0o700); err != nil {
		return nil, err
	}
	if err := s.give(kept); err != nil {
		return nil, err
	}
	var rows []row
	for _, w := range s.ways(s.path(kept)) {
		rows = append(rows, row{way: w})
	}
	for i := range n + warmUps {
		for j := range rows {
			r := &rows[(i+j)%len(rows)]
			w := r.way
			w.asks = w.asks || i < warmUps
			if i == 0 && w.name == "inside, offline" {
				continue // the store has nothing yet
			}
			took, err := s.install(ctx, w)
			if err != nil {
				return nil, err
			}
			if i >= warmUps {
				r.cpu, r.wall = append(r.cpu, took.cpu.Seconds()), append(r.wall, took.wall.Seconds())
			}
		}
	}
	return rows, nil
}

func table(out io.Writer, rows []row, n int) {
	fmt.Fprintf(out, "npm ci, processor time of everything that was started, %d rounds; ratios of the medians with their bootstrap 95 %% interval\n\n", n)
	fmt.Fprint(out, "| | CPU s | wall s | CPU ÷ bare, empty cache | ≤ 0.6 | CPU ÷ bare, warm cache | ≤ 1.1 |\n|---|---|---|---|---|---|---|\n")
	verdict := func(r pairs.Interval, budget float64) string {
		if n < leastRounds {
			return fmt.Sprintf("undecided: fewer than %d rounds", leastRounds)
		}
		return r.AtMost(budget)
	}
	for i, r := range rows {
		empty, warm := pairs.Ratio(r.cpu, rows[0].cpu), pairs.Ratio(r.cpu, rows[1].cpu)
		a, b := "", ""
		if i > 1 {
			a, b = verdict(empty, budgetEmpty), verdict(warm, budgetWarm)
		}
		fmt.Fprintf(out, "| %s | %.2f | %.2f | %s | %s | %s | %s |\n", r.name, pairs.Quantile(r.cpu, 0.5), pairs.Quantile(r.wall, 0.5), text(empty), a, text(warm), b)
	}
}

func text(i pairs.Interval) string { return fmt.Sprintf("%.3f (%.3f–%.3f)", i.Value, i.Low, i.High) }
