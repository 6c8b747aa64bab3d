// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"slices"
	"strconv"
	"strings"
)

// cronField is one of the five fields of a schedule.
type cronField struct {
	least, most int
	names       []string // for least and on
}

func cronFields() []cronField {
	return []cronField{
		{0, 59, nil},
		{0, 23, nil},
		{1, 31, nil},
		{1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{0, 6, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// ValidCron says whether GitHub takes a schedule: five fields of numbers or names, *,
// lists, ranges and steps.
func ValidCron(s string) bool {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })
	fields := cronFields()
	if len(parts) != len(fields) || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		return false
	}
	for i, f := range fields {
		for part := range strings.SplitSeq(parts[i], ",") {
			if !f.valid(part) {
				return false
			}
		}
	}
	return true
}

// valid checks RANGE or RANGE/STEP.
func (f cronField) valid(s string) bool {
	s, step, stepped := strings.Cut(s, "/")
	if n, ok := f.number(step); stepped && (!ok || n < 1) {
		return false
	}
	if s == "*" {
		return true
	}
	from, to, ranged := strings.Cut(s, "-")
	a, ok := f.number(from)
	if !ranged {
		return ok
	}
	b, ok2 := f.number(to)
	return ok && ok2 && a <= b
}

func (f cronField) number(s string) (int, bool) {
	if i := slices.Index(f.names, strings.ToLower(s)); i >= 0 {
		return f.least + i, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= f.least && n <= f.most
}
