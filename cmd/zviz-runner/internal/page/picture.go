// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
)

// Sizes of the picture, in its own units.
const (
	nodeWidth, nodeHeight = 236, 38
	rowGap, columnGap     = 10, 126
	headHeight            = 26
	labelMost             = 27 // characters that fit a node
)

// picture draws a graph: a column for steps, one for what ran in them, one for hosts.
// Refusals are red and dashed: colour alone says nothing.
func (w *writer) picture(g graph) {
	rows := 0
	for _, nodes := range g.nodes {
		rows = max(rows, len(nodes))
	}
	width, height := columns*nodeWidth+(columns-1)*columnGap, headHeight+rows*(nodeHeight+rowGap)
	x := func(column int) int { return column * (nodeWidth + columnGap) }
	y := func(column, i int) int {
		free := (rows - len(g.nodes[column])) * (nodeHeight + rowGap)
		return headHeight + free/2 + i*(nodeHeight+rowGap)
	}
	w.open("svg", "viewBox", fmt.Sprintf("-1 0 %d %d", width+2, height), "role", "img", "class", "who", "aria-label", "Steps, the processes and packages in them, and the hosts they asked for")
	for column, name := range []string{"Step", "Package or process", "Host"} {
		w.text("text", name, "x", strconv.Itoa(x(column)), "y", "14", "class", "head")
	}
	for column, edges := range g.edges {
		for _, e := range edges {
			x1, y1 := x(column)+nodeWidth, y(column, e.from)+nodeHeight/2
			x2, y2 := x(column+1), y(column+1, e.to)+nodeHeight/2
			class, verb, shift := "edge allow", "let through", -2
			if e.denied {
				class, verb, shift = "edge deny", "denied", 2 // beside the one of what was let through
			}
			mid := (x1 + x2) / 2
			w.open("path", "class", class, "stroke-width", strconv.FormatFloat(min(8, 1.5+math.Log2(float64(e.count))/2), 'f', 1, 64),
				"d", fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1+shift, mid, y1+shift, mid, y2+shift, x2, y2+shift))
			w.text("title", fmt.Sprintf("%s → %s: %d %s", g.nodes[column][e.from].name, g.nodes[column+1][e.to].name, e.count, verb))
			w.close("path")
		}
	}
	for column, nodes := range g.nodes {
		for i, n := range nodes {
			w.node(n, x(column), y(column, i))
		}
	}
	w.close("svg")
}

func (w *writer) node(n node, x, y int) {
	class, mark := "node allow", "✓ "
	switch {
	case n.deny > 0 && n.allow > 0:
		class, mark = "node both", "◐ "
	case n.deny > 0:
		class, mark = "node deny", "✗ "
	}
	w.open("g", "class", class)
	w.text("title", fmt.Sprintf("%s %s: %d let through, %d denied", n.name, n.detail, n.allow, n.deny))
	w.open("rect", "x", strconv.Itoa(x), "y", strconv.Itoa(y), "width", strconv.Itoa(nodeWidth), "height", strconv.Itoa(nodeHeight), "rx", "6")
	w.close("rect")
	numbers := ""
	if n.allow > 0 {
		numbers = strconv.Itoa(n.allow) + " let through"
	}
	if n.deny > 0 {
		if numbers != "" {
			numbers += ", "
		}
		numbers += strconv.Itoa(n.deny) + " denied"
	}
	below := numbers
	if n.detail != "" {
		below = n.detail + " · " + numbers
	}
	// An svg of its own clips what is wider than its letters let one expect.
	w.open("svg", "x", strconv.Itoa(x), "y", strconv.Itoa(y), "width", strconv.Itoa(nodeWidth-6), "height", strconv.Itoa(nodeHeight))
	w.text("text", short(mark+n.name, labelMost), "x", "10", "y", "16", "class", "name")
	w.text("text", short(below, labelMost+10), "x", "10", "y", "30", "class", "small")
	w.close("svg")
	w.close("g")
}

// short cuts the middle out of a text: of a host the end matters, of a package the
// beginning.
func short(s string, most int) string {
	s = ui.Clean(s)
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	r := []rune(s)
	head := most / 2
	return string(r[:head]) + "…" + string(r[len(r)-(most-head-1):])
}
