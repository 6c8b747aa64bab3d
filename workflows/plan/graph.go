// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
)

// Node is a job as written, for a list or a picture of the run.
type Node struct {
	ID, Name string // Name as written, an expression too
	Needs    []string
	Stage    int      // 0: needs none; else one more than the highest of those that it needs
	Matrix   bool     // it may be several jobs
	Cells    []string // their names, if they are known before the run
	Uses     string   // the workflow that it calls
	Jobs     []Node   // of that
}

// Graph is what the run is made of, whatever has happened to it so far.
func (p *Plan) Graph() []Node { return graph(p.top.defs(), "") }

func (s *scope) defs() []*workflows.Job {
	var list []*workflows.Job
	for _, n := range s.nodes {
		list = append(list, n.def)
	}
	return list
}

func graph(jobs []*workflows.Job, prefix string) []Node {
	index := map[string]int{}
	list := make([]Node, len(jobs))
	for i, j := range jobs {
		index[expr.Fold(j.ID.Text)] = i
		n := Node{ID: prefix + j.ID.Text, Name: j.Name.Written(), Matrix: j.Strategy.IsExpression() || j.Strategy.Get("matrix") != nil}
		for _, need := range j.Needs {
			n.Needs = append(n.Needs, prefix+need.Text)
		}
		if m := j.Strategy.Get("matrix"); m != nil && !m.HasExpression() && checkMatrix(m) == nil {
			cells, err := workflows.ExpandMatrix(m, baseName(j))
			for _, c := range cells {
				if err == nil {
					n.Cells = append(n.Cells, c.Name)
				}
			}
		}
		if j.Uses != nil {
			n.Uses, n.Jobs = j.Uses.Text, graph(j.Call.Jobs, n.ID+".")
		}
		list[i] = n
	}
	stages(list, jobs, index)
	return list
}

// stages are found from those that need nothing on, so that the order in the file does
// not matter.
func stages(list []Node, jobs []*workflows.Job, index map[string]int) {
	unmet := make([]int, len(jobs))
	dependents := make([][]int, len(jobs))
	var queue []int
	for i, j := range jobs {
		for _, t := range j.Needs {
			if at, ok := index[expr.Fold(t.Text)]; ok {
				unmet[i]++
				dependents[at] = append(dependents[at], i)
			}
		}
		if unmet[i] == 0 {
			queue = append(queue, i)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, d := range dependents[at] {
			list[d].Stage = max(list[d].Stage, list[at].Stage+1)
			if unmet[d]--; unmet[d] == 0 {
				queue = append(queue, d)
			}
		}
	}
}
