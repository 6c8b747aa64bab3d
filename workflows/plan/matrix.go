// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// strategy is a strategy that is evaluated.
type strategy struct {
	failFast    bool
	maxParallel int // 0: all
	cells       []workflows.Cell
}

// expand makes the cells of a job: of the matrix that is known now that all that it
// needs is done.
func (p *Plan) expand(n *node) error {
	s, err := p.strategy(n)
	if err != nil {
		return err
	}
	cells := s.cells
	if len(cells) == 0 {
		cells = []workflows.Cell{{Name: baseName(n.def)}}
	}
	n.failFast, n.maxParallel, n.total = s.failFast, s.maxParallel, len(cells)
	if n.maxParallel <= 0 {
		n.maxParallel = len(cells)
	}
	for i, x := range cells {
		if !p.wanted(x.Values) {
			continue
		}
		c := &cell{
			node: n, index: i, state: Waiting, matrix: x.Values,
			id: n.scope.id + n.def.ID.Text, name: n.scope.name + x.Name,
			order: append(slices.Clone(n.scope.order), n.index, i),
			strategy: expr.NewObject(
				expr.Member{Name: "fail-fast", Value: expr.Bool(s.failFast)},
				expr.Member{Name: "job-index", Value: expr.Number(i)},
				expr.Member{Name: "job-total", Value: expr.Number(len(cells))},
				expr.Member{Name: "max-parallel", Value: expr.Number(n.maxParallel)},
			),
		}
		if x.ID != "" {
			c.id += "." + x.ID
		}
		n.cells = append(n.cells, c)
	}
	if p.total += len(n.cells); p.total > p.o.MaxJobs {
		return fmt.Errorf("the run has more than %d jobs", p.o.MaxJobs)
	}
	for _, c := range n.cells {
		p.cells[c.id] = c
	}
	return nil
}

// baseName is what the values of a matrix are appended to: the name if it is plain.
func baseName(j *workflows.Job) string {
	if j.Name.HasExpression() {
		return j.ID.Text
	}
	return j.Name.String()
}

// wanted says whether Options.Matrix lets a cell run.
func (p *Plan) wanted(values []expr.Member) bool {
	for _, m := range values {
		for name, want := range p.o.Matrix {
			if expr.Fold(name) == expr.Fold(m.Name) && expr.ToString(m.Value) != want {
				return false
			}
		}
	}
	return true
}

func (p *Plan) strategy(n *node) (strategy, error) {
	s := strategy{failFast: true}
	t, err := p.ev.evaluate(n.def.Strategy, expr.Env{Contexts: p.nodeContexts(n)})
	if err != nil || t == nil {
		return s, err
	}
	if t.Kind != syntax.Mapping {
		return s, unexpected(t)
	}
	for _, pair := range t.Pairs {
		v := pair.Value
		switch pair.Key.Text {
		case "fail-fast":
			if v.Kind != syntax.Bool {
				return s, unexpected(v)
			}
			s.failFast = v.Bool
		case "max-parallel":
			if v.Kind != syntax.Number {
				return s, unexpected(v)
			}
			s.maxParallel = whole(v.Num)
		case "matrix":
			if err := checkMatrix(v); err != nil {
				return s, err
			}
			if s.cells, err = workflows.ExpandMatrix(v, baseName(n.def)); err != nil {
				return s, err
			}
		default:
			return s, wrong(pair.Key, "Unexpected value '"+pair.Key.Text+"'")
		}
	}
	return s, nil
}

// checkMatrix checks the form of a matrix, which an expression may have made.
func checkMatrix(t *syntax.Token) error {
	if t.Kind != syntax.Mapping {
		return unexpected(t)
	}
	vector := false
	for _, p := range t.Pairs {
		if p.Value.Kind != syntax.Sequence {
			return unexpected(p.Value)
		}
		if p.Key.Text != "include" && p.Key.Text != "exclude" {
			vector = true
			if len(p.Value.Items) == 0 {
				return wrong(p.Value, "Matrix vector '"+p.Key.Text+"' does not contain any values")
			}
			continue
		}
		vector = vector || p.Key.Text == "include" && len(p.Value.Items) > 0
		for _, item := range p.Value.Items {
			if item.Kind != syntax.Mapping {
				return unexpected(item)
			}
		}
	}
	if !vector {
		return wrong(t, "Matrix must define at least one vector")
	}
	return nil
}
