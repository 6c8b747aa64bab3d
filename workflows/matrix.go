// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Cell is one job of a matrix.
type Cell struct {
	ID     string // unique among the cells of the matrix
	Name   string // what the job is called: job (a, b); empty if the job's name is
	Values []expr.Member
}

// MaxCells is how many jobs a matrix may have.
const MaxCells = 256

const (
	maxCellIDLength   = 25
	maxCellNameLength = 100
	maxCellDepth      = 50
)

// ExpandMatrix makes the cells of a matrix without expressions: the product of its
// vectors, the last one fastest, without what exclude matches, with what include adds.
// job is the name to which the values are appended. No cell at all means that the job
// runs once without a matrix.
func ExpandMatrix(matrix *syntax.Token, job string) ([]Cell, error) {
	cells, problems := expand(matrix, job)
	if len(problems) > 0 {
		p := problems[0]
		return nil, fmt.Errorf("line %d, column %d: %s", p.at.Pos.Line, p.at.Pos.Col, p.text)
	}
	return cells, nil
}

// problem is what is wrong at a token.
type problem struct {
	at   *syntax.Token
	text string
}

// vector is a named list of values.
type vector struct {
	name  string
	items []*syntax.Token
}

type matrixBuilder struct {
	vectors          []vector
	include, exclude []*syntax.Token
	problems         []problem
	ids              *ids
	job              string
}

func expand(matrix *syntax.Token, job string) ([]Cell, []problem) {
	b := matrixBuilder{ids: newIDs(), job: job}
	for _, p := range matrix.Pairs {
		switch p.Key.Text {
		case "include":
			b.include = p.Value.Items
		case "exclude":
			b.exclude = p.Value.Items
		default:
			b.vectors = append(b.vectors, vector{p.Key.Text, p.Value.Items})
		}
	}
	b.checkItems()
	size := 0
	if len(b.vectors) > 0 {
		size = 1
		for _, v := range b.vectors {
			if size *= len(v.items); size > maxProduct {
				b.problem(matrix, "Matrix has more than %d combinations", maxProduct)
				return nil, b.problems
			}
		}
	}
	if size*(len(b.include)+len(b.exclude)) > maxComparisons {
		b.problem(matrix, "Matrix has too many combinations for its include and exclude")
	}
	if len(b.problems) > 0 {
		return nil, b.problems
	}
	cells := b.cells(size)
	if len(cells) > MaxCells {
		b.problem(matrix, "Matrix has more than the %d jobs that are allowed", MaxCells)
		return nil, b.problems
	}
	return cells, b.problems
}

// What a hostile matrix may cost before its cells are counted.
const (
	maxProduct     = 1 << 16 // combinations before exclude
	maxComparisons = 1 << 21 // of a combination with an item of include or exclude
)

func (b *matrixBuilder) problem(at *syntax.Token, format string, args ...any) {
	b.problems = append(b.problems, problem{at, fmt.Sprintf(format, args...)})
}

func (b *matrixBuilder) isVector(name string) bool {
	for _, v := range b.vectors {
		if expr.Fold(v.name) == expr.Fold(name) {
			return true
		}
	}
	return false
}

func (b *matrixBuilder) checkItems() {
	for _, item := range b.include {
		if len(item.Pairs) == 0 {
			b.problem(item, "Matrix include mapping does not contain any values")
		}
	}
	for _, item := range b.exclude {
		if len(item.Pairs) == 0 {
			b.problem(item, "Matrix exclude filter must not be empty")
		}
		for _, p := range item.Pairs {
			if !b.isVector(p.Key.Text) {
				b.problem(p.Key, "Matrix exclude key '%s' does not match any key within the matrix", p.Key.Text)
			}
		}
	}
}

// inclusion is an item of include: the keys that are vectors choose cells, the others
// are added to them.
type inclusion struct {
	filter, extra []syntax.Pair
	matched       bool
}

func (b *matrixBuilder) inclusions() []*inclusion {
	var list []*inclusion
	for _, item := range b.include {
		in := &inclusion{}
		for _, p := range item.Pairs {
			if b.isVector(p.Key.Text) {
				in.filter = append(in.filter, p)
			} else {
				in.extra = append(in.extra, p)
			}
		}
		list = append(list, in)
	}
	return list
}

func (b *matrixBuilder) cells(size int) []Cell {
	inclusions := b.inclusions()
	var cells []Cell
	for index := range size {
		values := b.product(index, size)
		if b.excluded(values) {
			continue
		}
		named := len(values)
		for _, in := range inclusions {
			if !matches(values[:named], in.filter) {
				continue
			}
			in.matched = true
			for _, p := range in.extra {
				values = set(values, named, p)
			}
		}
		cells = append(cells, b.cell(values, named))
		if len(cells) > MaxCells {
			return cells
		}
	}
	for _, in := range inclusions {
		if in.matched || len(cells) > MaxCells {
			continue
		}
		var values []expr.Member
		for _, p := range slices.Concat(in.filter, in.extra) {
			values = append(values, expr.Member{Name: p.Key.Text, Value: p.Value.Value()})
		}
		cells = append(cells, b.cell(values, len(values)))
	}
	return cells
}

// product is a combination; the first vector changes last.
func (b *matrixBuilder) product(index, size int) []expr.Member {
	values := make([]expr.Member, len(b.vectors))
	block := size
	for i, v := range b.vectors {
		block /= len(v.items)
		values[i] = expr.Member{Name: v.name, Value: v.items[index/block%len(v.items)].Value()}
	}
	return values
}

// set puts an added value after the first n, which it cannot change.
func set(values []expr.Member, n int, p syntax.Pair) []expr.Member {
	m := expr.Member{Name: p.Key.Text, Value: p.Value.Value()}
	for i := n; i < len(values); i++ {
		if expr.Fold(values[i].Name) == expr.Fold(m.Name) {
			values[i].Value = m.Value
			return values
		}
	}
	return append(values, m)
}

func (b *matrixBuilder) excluded(values []expr.Member) bool {
	for _, item := range b.exclude {
		if matches(values, item.Pairs) {
			return true
		}
	}
	return false
}

// matches says whether every leaf of a filter equals the same leaf of a cell, by the
// loose equality of the language.
func matches(values []expr.Member, filter []syntax.Pair) bool {
	for _, p := range filter {
		var v expr.Value = expr.Null{}
		for _, m := range values {
			if expr.Fold(m.Name) == expr.Fold(p.Key.Text) {
				v = m.Value
			}
		}
		if !matchesLeaves(v, p.Value) {
			return false
		}
	}
	return true
}

func matchesLeaves(v expr.Value, t *syntax.Token) bool {
	switch t.Kind {
	case syntax.Mapping:
		for _, p := range t.Pairs {
			var inner expr.Value = expr.Null{}
			if o, ok := v.(*expr.Object); ok {
				if found, ok := o.Get(p.Key.Text); ok {
					inner = found
				}
			}
			if !matchesLeaves(inner, p.Value) {
				return false
			}
		}
		return true
	case syntax.Sequence:
		for i, item := range t.Items {
			var inner expr.Value = expr.Null{}
			if a, ok := v.(*expr.Array); ok && i < a.Len() {
				inner = a.At(i)
			}
			if !matchesLeaves(inner, item) {
				return false
			}
		}
		return true
	default:
		return expr.Equal(v, t.Value())
	}
}

// cell names a cell by the leaves of its first values.
func (b *matrixBuilder) cell(values []expr.Member, named int) Cell {
	var leaves []string
	for _, m := range values[:named] {
		leaves = leafTexts(leaves, m.Value, 0)
	}
	for _, l := range leaves {
		b.ids.segment(l)
	}
	id, _ := b.ids.build(false, maxCellIDLength)
	c := Cell{ID: id, Values: values}
	if b.job != "" {
		c.Name = cellName(b.job, leaves)
	}
	return c
}

func leafTexts(list []string, v expr.Value, depth int) []string {
	switch v := v.(type) {
	case *expr.Array:
		for _, i := range v.All() {
			if depth < maxCellDepth {
				list = leafTexts(list, i, depth+1)
			}
		}
	case *expr.Object:
		for _, i := range v.All() {
			if depth < maxCellDepth {
				list = leafTexts(list, i, depth+1)
			}
		}
	case expr.Null:
	default:
		if s := expr.ToString(v); s != "" {
			list = append(list, s)
		}
	}
	return list
}

func cellName(job string, leaves []string) string {
	if len(leaves) > 0 {
		job += " (" + strings.Join(leaves, ", ") + ")"
	}
	if u := utf16.Encode([]rune(job)); len(u) > maxCellNameLength {
		return string(utf16.Decode(u[:maxCellNameLength-3])) + "..."
	}
	return job
}
