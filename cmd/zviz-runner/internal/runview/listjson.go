// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"io"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/workflows/plan"
)

// listedJob is a job in JSON. Jobs of a called workflow are in Jobs.
type listedJob struct {
	ID     string      `json:"id"`
	Name   string      `json:"name"` // as written, an expression too
	Needs  []string    `json:"needs"`
	Stage  int         `json:"stage"` // 0: needs none
	Matrix bool        `json:"matrix"`
	Cells  []string    `json:"cells,omitempty"` // names, if they are known before the run
	Uses   string      `json:"uses,omitempty"`
	Jobs   []listedJob `json:"jobs,omitempty"`
}

// ListJSON prints the jobs of a plan, which is of a file, as one object:
// {"file":…,"jobs":[…]}.
func ListJSON(w io.Writer, file string, nodes []plan.Node) error {
	return ui.WriteJSON(w, struct {
		File string      `json:"file"`
		Jobs []listedJob `json:"jobs"`
	}{file, listed(nodes)}, "")
}

func listed(nodes []plan.Node) []listedJob {
	list := make([]listedJob, len(nodes))
	for i, n := range nodes {
		list[i] = listedJob{ID: n.ID, Name: n.Name, Needs: append([]string{}, n.Needs...), Stage: n.Stage, Matrix: n.Matrix, Cells: n.Cells, Uses: n.Uses}
		if list[i].Name == "" {
			list[i].Name = n.ID
		}
		if len(n.Jobs) > 0 {
			list[i].Jobs = listed(n.Jobs)
		}
	}
	return list
}

// GraphJSON prints which jobs need which as one object: the ids of each stage, in the
// order of the file, and {"from":…,"to":…} for each need; those of called workflows
// are in the edges too, and their jobs in the jobs.
func GraphJSON(w io.Writer, file string, nodes []plan.Node) error {
	g := graphJSON{File: file, Stages: [][]string{}, Edges: []edge{}, Jobs: listed(nodes)}
	for _, n := range nodes {
		for len(g.Stages) <= n.Stage {
			g.Stages = append(g.Stages, []string{})
		}
		g.Stages[n.Stage] = append(g.Stages[n.Stage], n.ID)
	}
	g.connect(nodes)
	return ui.WriteJSON(w, g, "")
}

type graphJSON struct {
	File   string      `json:"file"`
	Stages [][]string  `json:"stages"`
	Edges  []edge      `json:"edges"`
	Jobs   []listedJob `json:"jobs"`
}

// edge leads from a job that is needed to the one that needs it.
type edge struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func (g *graphJSON) connect(nodes []plan.Node) {
	at := byID(nodes)
	for _, n := range nodes {
		for _, need := range n.Needs {
			if i, ok := at.of(need); ok {
				g.Edges = append(g.Edges, edge{nodes[i].ID, n.ID})
			}
		}
		g.connect(n.Jobs)
	}
}
