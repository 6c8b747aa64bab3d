// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/plan"
)

// graphOf plans a workflow of which jobs is the text below "jobs:".
func graphOf(t *testing.T, jobs string) []plan.Node {
	t.Helper()
	files := map[string]string{"./.github/workflows/called.yml": `
on: workflow_call
jobs:
  pack: {runs-on: x, steps: [{run: a}]}
  sign: {runs-on: x, needs: pack, steps: [{run: a}]}
`}
	wf, problems := workflows.Parse(".github/workflows/ci.yml", "on: push\njobs:\n"+jobs, workflows.Options{
		Open: func(uses string) (string, error) {
			if text, ok := files[uses]; ok {
				return text, nil
			}
			return "", workflows.ErrNotHere
		},
	})
	if wf == nil {
		t.Fatal(problems)
	}
	p, err := plan.New(wf, plan.Options{Any: true})
	if err != nil {
		t.Fatal(err)
	}
	return p.Graph()
}

const someJobs = `
  build: {runs-on: x, steps: [{run: a}]}
  lint: {runs-on: x, name: Lint all, steps: [{run: a}]}
  test:
    needs: BUILD
    strategy: {matrix: {os: [a, b], node: [20, 22]}}
    runs-on: x
    steps: [{run: a}]
  later:
    needs: [build, lint]
    strategy: {matrix: "${{ fromJSON(needs.build.outputs.m) }}"}
    runs-on: x
    steps: [{run: a}]
  release: {needs: [build, test], uses: ./.github/workflows/called.yml}
  tell: {needs: [release, lint, later], runs-on: x, steps: [{run: a}]}
`

func TestGraph(t *testing.T) {
	var b strings.Builder
	if err := Graph(&b, graphOf(t, someJobs)); err != nil {
		t.Fatal(err)
	}
	golden(t, "graph.txt", b.String())
}

func TestList(t *testing.T) {
	var b strings.Builder
	if err := List(&b, graphOf(t, someJobs)); err != nil {
		t.Fatal(err)
	}
	golden(t, "list.txt", b.String())
}

func TestListAndGraphAsJSON(t *testing.T) {
	var b strings.Builder
	nodes := graphOf(t, someJobs)
	for _, show := range []func() error{
		func() error { return ListJSON(&b, "ci.yml", nodes) },
		func() error { return GraphJSON(&b, "ci.yml", nodes) },
		func() error { return ListJSON(&b, "ci.yml", nil) },
		func() error { return GraphJSON(&b, "ci.yml", nil) },
	} {
		if err := show(); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "list_json.txt", b.String())
	for line := range strings.Lines(b.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

// Whoever follows the lines of a graph finds each need, and no other.
func TestGraphIsWhatItShows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var nodes []plan.Node
		want := map[string][]string{}
		for i := range 1 + r.IntN(14) {
			n := plan.Node{ID: fmt.Sprintf("j%d", i)}
			for _, other := range nodes {
				if r.IntN(4) == 0 {
					n.Needs = append(n.Needs, other.ID)
					n.Stage = max(n.Stage, other.Stage+1)
				}
			}
			if len(n.Needs) > 0 {
				want[n.ID] = slices.Sorted(slices.Values(n.Needs))
			}
			nodes = append(nodes, n)
		}
		var b strings.Builder
		if err := Graph(&b, nodes); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, followed(t, b.String())); diff != "" {
			t.Fatalf("%s\n%s", b.String(), diff)
		}
	}
}

// followed reads a graph as a person does.
func followed(t *testing.T, graph string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	lane := map[int]string{} // by column, whose line it is
	for line := range strings.Lines(graph) {
		fields := strings.Fields(line)
		id := fields[len(fields)-1]
		row := []rune(strings.TrimSuffix(line, id+"\n"))
		own := slices.Index(row, '●')
		for col, c := range row {
			if whose := lane[col]; strings.ContainsRune("├└┼┴┤┘", c) {
				if whose == "" {
					t.Fatalf("a line from nowhere\n%s", graph)
				}
				// It has to lead to the job.
				for x := min(col, own) + 1; x < max(col, own); x++ {
					if !strings.ContainsRune("─│┼┴", row[x]) {
						t.Fatalf("a line that is cut\n%s", graph)
					}
				}
				found[id] = append(found[id], whose)
			}
			if strings.ContainsRune("└┴┘", c) {
				delete(lane, col)
			}
		}
		lane[own] = id
		slices.Sort(found[id])
	}
	return found
}

func TestGraphOfHostileNames(t *testing.T) {
	nodes := []plan.Node{
		{ID: "a\x1b[2J\u202e", Name: "\x1b]0;x\x07", Cells: []string{"c\x1b[31m"}, Matrix: true},
		{ID: "b", Needs: []string{"A\x1b[2J\u202e"}, Uses: "./\x1b[1A", Stage: 1, Jobs: []plan.Node{{ID: "b.c\x9b"}}},
	}
	for _, show := range []func(*strings.Builder) error{
		func(b *strings.Builder) error { return List(b, nodes) },
		func(b *strings.Builder) error { return Graph(b, nodes) },
		func(b *strings.Builder) error { return ListJSON(b, "ci.yml", nodes) },
		func(b *strings.Builder) error { return GraphJSON(b, "ci.yml", nodes) },
	} {
		var b strings.Builder
		if err := show(&b); err != nil {
			t.Fatal(err)
		}
		harmless(t, b.String(), false)
	}
}

// More lines than fit beside each other become words.
func TestGraphOfVeryManyJobs(t *testing.T) {
	var nodes []plan.Node
	last := plan.Node{ID: "last", Stage: 1}
	for i := range 40 {
		nodes = append(nodes, plan.Node{ID: fmt.Sprintf("j%d", i)})
		last.Needs = append(last.Needs, nodes[i].ID)
	}
	var b strings.Builder
	if err := Graph(&b, append(nodes, last)); err != nil {
		t.Fatal(err)
	}
	golden(t, "graph_many.txt", b.String())
}
