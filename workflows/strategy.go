// SPDX-License-Identifier: Apache-2.0

package workflows

import "github.com/zviz/run/workflows/syntax"

// strategy checks one that is known early, as far as it is.
func (c *converter) strategy(t *syntax.Token) {
	if t.IsExpression() || !c.want(t, syntax.Mapping, "strategy") {
		return
	}
	known := true
	for _, p := range t.Pairs {
		if p.Key.IsExpression() || p.Value.IsExpression() {
			known = false
			continue
		}
		switch p.Key.Text {
		case "fail-fast":
			c.want(p.Value, syntax.Bool, "strategy fail-fast")
		case "max-parallel":
			c.want(p.Value, syntax.Number, "strategy max-parallel")
		case "matrix":
			known = c.matrix(p.Value) && known
		}
	}
	matrix := t.Get("matrix")
	if !known || matrix == nil || c.aborted {
		return
	}
	cells, problems := expand(matrix, "")
	for _, p := range problems {
		c.error(p.at, "%s", p.text)
	}
	c.countCells(cells)
}

// matrix checks the vectors; false if there are expressions, so that the cells are not
// known yet.
func (c *converter) matrix(t *syntax.Token) (known bool) {
	if !c.want(t, syntax.Mapping, "matrix") {
		return false
	}
	before := len(c.r.Errors())
	hasVector := false
	for _, p := range t.Pairs {
		if p.Key.IsExpression() {
			hasVector = true
			continue
		}
		dynamic := p.Value.HasExpression()
		switch p.Key.Text {
		case "include":
			hasVector = hasVector || dynamic || len(p.Value.Items) > 0
		case "exclude":
		default:
			hasVector = true
			if !dynamic && c.want(p.Value, syntax.Sequence, "matrix vector value") && len(p.Value.Items) == 0 {
				c.error(p.Value, "Matrix vector '%s' does not contain any values", p.Key.Text)
			}
		}
		if !dynamic && (p.Key.Text == "include" || p.Key.Text == "exclude") {
			c.want(p.Value, syntax.Sequence, "matrix "+p.Key.Text+"s")
		}
	}
	if !hasVector {
		c.error(t, "Matrix must define at least one vector")
	}
	return !t.HasExpression() && len(c.r.Errors()) == before
}

// countCells adds what the cells take by GitHub's count.
func (c *converter) countCells(cells []Cell) {
	const perCell = 8 // objects: the cell, its maps and its strategy
	for _, cell := range cells {
		texts := []string{cell.ID, cell.Name, "matrix", "strategy"}
		for _, v := range cell.Values {
			texts = append(texts, v.Name)
		}
		if !c.r.AddBytes(perCell+len(cell.Values), texts...) {
			c.abort(nil, "Maximum object size exceeded")
			return
		}
	}
}
