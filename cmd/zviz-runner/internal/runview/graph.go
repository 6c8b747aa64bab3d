// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

// widestGraph is how many lines may run side by side. A job that finds no room for its
// own is "○", and those that need it say so in words.
const widestGraph = 24

// Graph draws the jobs of a plan, a job a row, by stage: a line leads down from each job
// to those that need it, as in
//
//	1 ● build
//	  │ ● lint
//	2 ├─│─● test × 3
//	3 └─┴─┴─● deploy
//
// "├", "┼" and "┤" are needed here and further down, "└", "┴" and "┘" for the last time;
// "│" only passes by. The jobs of a called workflow are drawn below the job that calls.
func Graph(w io.Writer, nodes []plan.Node) error {
	var b strings.Builder
	drawGraph(&b, nodes, "", "")
	_, err := io.WriteString(w, b.String())
	return err
}

// index finds a node by its id; a need may be written in another case.
type index map[string]int

func byID(nodes []plan.Node) index {
	at := index{}
	for i, n := range nodes {
		at[expr.Fold(n.ID)] = i
	}
	return at
}

func (x index) of(id string) (int, bool) {
	i, ok := x[expr.Fold(id)]
	return i, ok
}

const free = -1

// lanes are the lines that run down: each is a node that is still needed.
type lanes struct {
	of   []int // by lane, the node, or free
	left []int // by node, how many that need it are still to come
}

func drawGraph(b *strings.Builder, nodes []plan.Node, indent, prefix string) {
	at := byID(nodes)
	order := make([]int, len(nodes))
	l := lanes{left: make([]int, len(nodes))}
	for i, n := range nodes {
		order[i] = i
		for _, j := range needed(n, at) {
			l.left[j]++
		}
	}
	slices.SortStableFunc(order, func(a, c int) int { return cmp.Compare(nodes[a].Stage, nodes[c].Stage) })
	digits, stage := len(strconv.Itoa(len(nodes))), -1
	for _, i := range order {
		n := nodes[i]
		column := strings.Repeat(" ", digits)
		if n.Stage != stage {
			stage = n.Stage
			column = fmt.Sprintf("%*d", digits, stage+1)
		}
		row, words := l.row(i, n, nodes, at)
		fmt.Fprintf(b, "%s%s %s %s%s\n", indent, column, row, label(n, prefix), words)
		if len(n.Jobs) > 0 {
			drawGraph(b, n.Jobs, indent+strings.Repeat(" ", digits)+" "+l.passing()+"   ", n.ID+".")
		}
	}
}

// needed are the nodes that a node needs, each once.
func needed(n plan.Node, at index) []int {
	var list []int
	for _, need := range n.Needs {
		if i, ok := at.of(need); ok && !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	return list
}

// row draws the lines of one job, and says in words what has none.
func (l *lanes) row(i int, n plan.Node, nodes []plan.Node, at index) (row, words string) {
	needs := needed(n, at)
	own := slices.Index(l.of, free)
	if own < 0 && len(l.of) < widestGraph {
		own = len(l.of)
		l.of = append(l.of, free)
	}
	lo, hi := own, own
	var unseen []string
	for _, j := range needs {
		l.left[j]--
		lane := slices.Index(l.of, j)
		if lane < 0 || own < 0 {
			unseen = append(unseen, nodes[j].ID)
			continue
		}
		lo, hi = min(lo, lane), max(hi, lane)
	}
	var b strings.Builder
	for lane, j := range l.of {
		b.WriteString(l.character(lane, own, lo, hi, j != free && own >= 0 && slices.Contains(needs, j)))
		if lo <= lane && lane < hi {
			b.WriteString("─")
		} else {
			b.WriteString(" ")
		}
	}
	for _, j := range needs {
		if lane := slices.Index(l.of, j); lane >= 0 && l.left[j] == 0 {
			l.of[lane] = free
		}
	}
	if own >= 0 && l.left[i] > 0 {
		l.of[own] = i
	}
	for len(l.of) > 0 && l.of[len(l.of)-1] == free {
		l.of = l.of[:len(l.of)-1]
	}
	row = strings.TrimRight(b.String(), " ")
	if own < 0 {
		row += " ○"
	}
	if len(unseen) > 0 {
		words = " (needs " + ui.Clean(strings.Join(unseen, ", ")) + ")"
	}
	return row, words
}

func (l *lanes) character(lane, own, lo, hi int, needed bool) string {
	last := needed && l.left[l.of[lane]] == 0
	pick := func(ends, goesOn string) string {
		if last {
			return ends
		}
		return goesOn
	}
	switch {
	case lane == own:
		return "●"
	case needed && lane == lo:
		return pick("└", "├")
	case needed && lane == hi:
		return pick("┘", "┤")
	case needed:
		return pick("┴", "┼")
	case l.of[lane] != free:
		return "│"
	case lo < lane && lane < hi:
		return "─"
	}
	return " "
}

// passing are the lines beside the jobs of a called workflow.
func (l *lanes) passing() string {
	var b strings.Builder
	for _, j := range l.of {
		if j == free {
			b.WriteString("  ")
		} else {
			b.WriteString("│ ")
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// label names a job: by its id in its file, and how many jobs it is.
func label(n plan.Node, prefix string) string {
	s := ui.Clip(ui.Clean(strings.TrimPrefix(n.ID, prefix)), longestName)
	switch {
	case len(n.Cells) > 0:
		s += " × " + strconv.Itoa(len(n.Cells))
	case n.Matrix:
		s += " × matrix"
	}
	if n.Uses != "" {
		s += " calls " + ui.Clean(n.Uses)
	}
	return s
}
