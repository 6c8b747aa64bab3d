// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"path"
	"slices"
	"strconv"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
)

// columnMost bounds the nodes of a column: the job decides how many there are. The
// last one stands for the rest.
const columnMost = 24

// The columns of a graph, in the order in which a request passes them.
const (
	columnStep = iota
	columnActor
	columnHost
	columns
)

// node is one who asked or was asked.
type node struct {
	name   string // as it is shown
	detail string // below it, may be empty
	allow  int
	deny   int
}

// edge joins a node to one of the next column.
type edge struct {
	from, to int
	denied   bool
	count    int
}

// graph is who talked to whom: steps, what ran in them, hosts. edges[i] leads from
// column i to column i+1.
type graph struct {
	nodes [columns][]node
	edges [columns - 1][]edge
}

// nodeKey tells nodes apart.
type nodeKey struct{ name, detail string }

// newGraph folds the events of a report.
func newGraph(r executor.Report) graph {
	var g graph
	var known [columns]map[nodeKey]int
	for i := range known {
		known[i] = map[nodeKey]int{}
	}
	find := func(column int, k nodeKey) int {
		i, ok := known[column][k]
		if !ok {
			i = len(g.nodes[column])
			g.nodes[column] = append(g.nodes[column], node{name: k.name, detail: k.detail})
			known[column][k] = i
		}
		return i
	}
	type edgeKey struct {
		column, from, to int
		denied           bool
	}
	edges := map[edgeKey]int{}
	for _, e := range r.Egress.Events {
		if e.Door == egress.DoorDNS && e.Verdict == egress.VerdictAllow {
			continue // the connection that follows counts
		}
		at := [columns]int{find(columnStep, stepOf(e, r)), find(columnActor, actorOf(e)), find(columnHost, hostOf(e))}
		n, denied := max(e.Count, 1), e.Verdict == egress.VerdictDeny
		for column, i := range at {
			if denied {
				g.nodes[column][i].deny += n
			} else {
				g.nodes[column][i].allow += n
			}
		}
		for column := range columns - 1 {
			edges[edgeKey{column, at[column], at[column+1], denied}] += n
		}
	}
	for k, n := range edges {
		g.edges[k.column] = append(g.edges[k.column], edge{k.from, k.to, k.denied, n})
	}
	for column := range g.edges {
		slices.SortFunc(g.edges[column], func(a, b edge) int {
			return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), compareBool(a.denied, b.denied))
		})
	}
	g.order()
	for column := range g.nodes {
		g.fold(column)
	}
	return g
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// stepOf names the step; what has none is the command itself.
func stepOf(e egress.Event, r executor.Report) nodeKey {
	switch {
	case e.Step != "":
		return nodeKey{e.Step, "step"}
	case len(r.Command) > 0:
		return nodeKey{path.Base(r.Command[0]), "command"}
	default:
		return nodeKey{"command", ""}
	}
}

// actorOf names the package if there is one, else the program.
func actorOf(e egress.Event) nodeKey {
	program := path.Base(cmp.Or(e.Exe, e.Argv0))
	if e.PID == 0 && e.Exe == "" {
		program = "unknown process"
	}
	switch {
	case e.Pkg != "" && e.PkgBy != "":
		what := e.Script
		if what == "" {
			what = program
		}
		return nodeKey{e.Pkg, what + ", " + string(e.PkgBy)}
	case e.Script != "":
		return nodeKey{e.Script, "script, claimed"}
	default:
		return nodeKey{program, ""}
	}
}

func hostOf(e egress.Event) nodeKey {
	switch {
	case e.Host == "" && e.Dst == "":
		return nodeKey{"no name", string(e.Door)}
	case e.Host == "":
		return nodeKey{e.Dst, string(e.Door)}
	case e.Door == egress.DoorDNS || e.Port == 0 || e.Port == 443:
		return nodeKey{e.Host, ""}
	default:
		return nodeKey{e.Host + ":" + strconv.Itoa(int(e.Port)), ""}
	}
}

// order moves nodes of the later columns near to what leads to them, so that few
// lines cross.
func (g *graph) order() {
	for column := 1; column < columns; column++ {
		n := len(g.nodes[column])
		sum, weight := make([]float64, n), make([]float64, n)
		for _, e := range g.edges[column-1] {
			sum[e.to] += float64(e.from)
			weight[e.to]++
		}
		index := make([]int, n)
		for i := range index {
			index[i] = i
		}
		slices.SortStableFunc(index, func(a, b int) int { return cmp.Compare(sum[a]/weight[a], sum[b]/weight[b]) })
		moved := make([]int, n)
		nodes := make([]node, n)
		for at, i := range index {
			moved[i], nodes[at] = at, g.nodes[column][i]
		}
		g.move(column, nodes, moved)
	}
}

// move gives a column other nodes; moved has the new place of each old one.
func (g *graph) move(column int, nodes []node, moved []int) {
	g.nodes[column] = nodes
	if column > 0 {
		for i := range g.edges[column-1] {
			g.edges[column-1][i].to = moved[g.edges[column-1][i].to]
		}
	}
	if column < columns-1 {
		for i := range g.edges[column] {
			g.edges[column][i].from = moved[g.edges[column][i].from]
		}
	}
}

// fold makes the least asked nodes of a long column one; those with refusals stay
// longest.
func (g *graph) fold(column int) {
	nodes := g.nodes[column]
	if len(nodes) <= columnMost {
		return
	}
	index := make([]int, len(nodes))
	for i := range index {
		index[i] = i
	}
	slices.SortStableFunc(index, func(a, b int) int {
		return cmp.Or(cmp.Compare(nodes[b].deny, nodes[a].deny), cmp.Compare(nodes[b].allow, nodes[a].allow))
	})
	keep := slices.Clone(index[:columnMost-1])
	slices.Sort(keep)
	rest := node{name: "and " + strconv.Itoa(len(nodes)-len(keep)) + " more"}
	moved := make([]int, len(nodes))
	var kept []node
	for i, n := range nodes {
		if _, ok := slices.BinarySearch(keep, i); ok {
			moved[i] = len(kept)
			kept = append(kept, n)
			continue
		}
		moved[i] = len(keep)
		rest.allow += n.allow
		rest.deny += n.deny
	}
	g.move(column, append(kept, rest), moved)
	for i := range g.edges {
		g.edges[i] = merge(g.edges[i])
	}
}

// merge makes edges between the same nodes one.
func merge(edges []edge) []edge {
	type key struct {
		from, to int
		denied   bool
	}
	var out []edge
	known := map[key]int{}
	for _, e := range edges {
		k := key{e.from, e.to, e.denied}
		i, ok := known[k]
		if !ok {
			known[k] = len(out)
			out = append(out, e)
			continue
		}
		out[i].count += e.count
	}
	return out
}
