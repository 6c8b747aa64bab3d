// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"io"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/workflows/plan"
)

// List prints the jobs of a plan as a table, those of called workflows below the job that
// calls. Cells of a matrix are below their job if they are known before the run.
func List(w io.Writer, nodes []plan.Node) error {
	rows := [][]string{{"JOB", "NAME", "NEEDS", "MATRIX", "USES"}}
	return ui.Table(w, listRows(rows, nodes), nil)
}

func listRows(rows [][]string, nodes []plan.Node) [][]string {
	for _, n := range nodes {
		name := n.Name
		if name == "" {
			name = n.ID
		}
		rows = append(rows, []string{
			ui.Clean(n.ID), ui.Clean(name), ui.Clean(strings.Join(n.Needs, ", ")), matrixOf(n), ui.Clean(n.Uses),
		})
		for _, cell := range n.Cells {
			rows = append(rows, []string{"", "  " + ui.Clean(cell), "", "", ""})
		}
		rows = listRows(rows, n.Jobs)
	}
	return rows
}

// matrixOf is how many jobs a node is: "3 jobs".
func matrixOf(n plan.Node) string {
	switch {
	case len(n.Cells) > 0:
		return ui.Count(len(n.Cells), "job", "jobs")
	case n.Matrix:
		return "known when it starts"
	}
	return ""
}
