// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io"
	"strings"
)

// Table writes rows with aligned columns, two blanks apart; the last column is
// not padded. style, if not nil, may colour a cell after it was measured.
func Table(w io.Writer, rows [][]string, style func(row, col int, cell string) string) error {
	var width []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], Width(c))
		}
	}
	var b strings.Builder
	for y, r := range rows {
		var line strings.Builder
		for x, c := range r {
			pad := ""
			if x < len(r)-1 {
				pad = strings.Repeat(" ", width[x]-Width(c)+2)
			}
			if style != nil {
				c = style(y, x, c)
			}
			line.WriteString(c + pad)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
