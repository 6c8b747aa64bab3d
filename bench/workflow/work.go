// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/zviz/run/internal/pairs"
)

const (
	enough    = 30   // rounds, below which nothing is decided
	echoMost  = 0.25 // of act
	growsMost = 1.1  // what one of many may cost, ÷ what one of few costs
)

// work is a workflow in two sizes, so that what each more costs can be told.
type work struct {
	name       string // of the large one
	unit       string // what there are several of
	text       func(n int) string
	few, many  int        // few is 0 if there is only one size
	without    bool       // act is not asked for it
	budget     float64    // the ratio to act; 0: none
	large, one [][]sample // of each tool, the runner first; one: with a single unit, of the runner only
	small      []sample   // of the runner only
}

func works() []work {
	echo := func(n int) string { return cells(n, "echo hello") }
	return []work{
		{name: "one echo", text: steps, many: 1, budget: echoMost},
		{name: "50 steps", unit: "step", text: steps, few: 13, many: 50},
		{name: "256 cells of a matrix", unit: "cell", text: echo, few: 32, many: 256},
		{name: "1,000 jobs", unit: "job", text: jobs, few: 100, many: 1000, without: true},
	}
}

// measure runs the work in rounds: each tool once, and each round begins at another one.
func (w *work) measure(ctx context.Context, p place, tools []*tool, o options) error {
	type turn struct {
		tool *tool
		n    int
		to   *[]sample
	}
	w.large, w.one = make([][]sample, len(tools)), make([][]sample, 1)
	turns := []turn{}
	for i, t := range tools {
		if t.missing == "" && (i == 0 || !w.without) {
			turns = append(turns, turn{t, w.many, &w.large[i]})
		}
	}
	if w.few > 0 {
		turns = append(turns, turn{tools[0], w.few, &w.small}, turn{tools[0], 1, &w.one[0]})
	}
	// One more run of the least, thrown away: the first one of all fills caches.
	file, err := p.write(w.text(1))
	if err != nil {
		return err
	}
	for _, t := range turns {
		if _, err := t.tool.run(ctx, p, file, o.limit); err != nil {
			return err
		}
	}
	begin := time.Now()
	for round := 0; round < o.rounds && (round == 0 || time.Since(begin) < o.most); round++ {
		for i := range turns {
			t := turns[(round+i)%len(turns)]
			file, err := p.write(w.text(t.n))
			if err != nil {
				return err
			}
			s, err := t.tool.run(ctx, p, file, o.limit)
			if err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
			*t.to = append(*t.to, s)
		}
	}
	return nil
}

func wall(s sample) float64 { return float64(s.wall.Microseconds()) / 1000 }
func cpu(s sample) float64  { return float64(s.cpu.Microseconds()) / 1000 }

func each(list []sample, of func(sample) float64) []float64 {
	out := make([]float64, 0, len(list))
	for _, s := range list {
		out = append(out, of(s))
	}
	return out
}

// per is what each more unit costs, ms.
func per(list, one []sample, n int, of func(sample) float64) []float64 {
	out := make([]float64, len(list))
	for i := range list {
		out[i] = (of(list[i]) - of(one[i])) / float64(n-1)
	}
	return out
}

func report(out io.Writer, works []work, tools []*tool) {
	fmt.Fprintln(out, "Whole processes, in turns; ratio of the medians with its bootstrap 95 % interval")
	fmt.Fprintln(out, "\n| | rounds | median ms | CPU ms | zviz-runner run ÷ it | budget | |\n|---|---|---|---|---|---|---|")
	for _, w := range works {
		if w.large == nil {
			continue
		}
		for i, t := range tools {
			name := w.name + ", " + t.name
			switch {
			case i > 0 && w.without:
			case t.missing != "":
				fmt.Fprintf(out, "| %s | – | – | – | not measured: %s | | |\n", name, t.missing)
			case i == 0:
				walls := each(w.large[0], wall)
				fmt.Fprintf(out, "| %s | %d | %.1f | %.1f | 1 | | |\n", name, len(walls), pairs.Quantile(walls, 0.5), pairs.Quantile(each(w.large[0], cpu), 0.5))
			default:
				walls := each(w.large[i], wall)
				r := pairs.Ratio(each(w.large[0], wall), walls)
				budget, says := "", ""
				if w.budget > 0 && i == 1 {
					budget, says = fmt.Sprintf("≤ %v", w.budget), verdict(r, len(walls), w.budget)
				}
				fmt.Fprintf(out, "| %s | %d | %.1f | %.1f | %s | %s | %s |\n", name, len(walls),
					pairs.Quantile(walls, 0.5), pairs.Quantile(each(w.large[i], cpu), 0.5), interval(r), budget, says)
			}
		}
	}
	fmt.Fprintln(out, "\nWhat each more costs: of many ÷ of few\n\n| | of | ms each | CPU ms each | time, of many ÷ of few | CPU, of many ÷ of few | budget | |\n|---|---|---|---|---|---|---|---|")
	for _, w := range works {
		if w.large == nil || w.few == 0 {
			continue
		}
		one := w.one[0]
		walls, cpus := per(w.large[0], one, w.many, wall), per(w.large[0], one, w.many, cpu)
		time := pairs.Ratio(walls, per(w.small, one, w.few, wall))
		work := pairs.Ratio(cpus, per(w.small, one, w.few, cpu))
		fmt.Fprintf(out, "| %s | %d and %d | %.2f | %.2f | %s | %s | ≤ %v | %s |\n", w.unit, w.many, w.few,
			pairs.Quantile(walls, 0.5), pairs.Quantile(cpus, 0.5), interval(time), interval(work), growsMost, verdict(work, len(walls), growsMost))
	}
}

// verdict says whether a budget is met, which too few rounds do not decide.
func verdict(r pairs.Interval, rounds int, most float64) string {
	if rounds < enough {
		return fmt.Sprintf("undecided: %d rounds", rounds)
	}
	return r.AtMost(most)
}

func interval(r pairs.Interval) string {
	return fmt.Sprintf("%.3f (%.3f–%.3f)", r.Value, r.Low, r.High)
}
