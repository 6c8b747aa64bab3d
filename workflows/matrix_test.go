// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
)

// matrixOf reads a matrix in the flow form of YAML.
func matrixOf(t *testing.T, text string) ([]workflows.Cell, error) {
	t.Helper()
	wf, p := workflows.Parse("f.yml", "on: push\njobs:\n  j:\n    runs-on: x\n    strategy:\n      matrix: "+text+"\n", workflows.Options{})
	if wf == nil {
		return nil, p.Errors[0]
	}
	return workflows.ExpandMatrix(wf.Jobs[0].Strategy.Get("matrix"), "j")
}

func TestExpandMatrix(t *testing.T) {
	for _, tt := range []struct {
		name, matrix string
		want         []string // name: values
	}{
		{"the first vector is outermost", "{a: [1, 2], b: [x, y]}", []string{"j (1, x): a=1 b=x", "j (1, y): a=1 b=y", "j (2, x): a=2 b=x", "j (2, y): a=2 b=y"}},
		{"exclude by a part", "{a: [1, 2], b: [x, y], exclude: [{a: 1}]}", []string{"j (2, x): a=2 b=x", "j (2, y): a=2 b=y"}},
		{"exclude compares loosely", "{a: [X, '2'], exclude: [{a: x}, {a: 2}], include: [{b: 1}]}", []string{"j (1): b=1"}},
		{"exclude by a leaf", "{a: [{v: 1, w: 2}, {v: 3}], exclude: [{a: {v: 1}}]}", []string{"j (3): a=Object"}},
		{"include adds to what matches", "{a: [1, 2], include: [{a: 1, c: z}]}", []string{"j (1): a=1 c=z", "j (2): a=2"}},
		{"include without a filter adds to all", "{a: [1, 2], include: [{c: z}]}", []string{"j (1): a=1 c=z", "j (2): a=2 c=z"}},
		{"a later include changes extras only", "{a: [1], include: [{c: x}, {a: 1, c: y}]}", []string{"j (1): a=1 c=y"}},
		{"include that matches nothing is a cell", "{a: [1], include: [{a: 3, c: z}]}", []string{"j (1): a=1", "j (3, z): a=3 c=z"}},
		{"added cells are not matched by later items", "{a: [1], include: [{a: 3}, {a: 3, d: 1}]}", []string{"j (1): a=1", "j (3): a=3", "j (3, 1): a=3 d=1"}},
		{"only include", "{include: [{a: 1}, {a: 2}]}", []string{"j (1): a=1", "j (2): a=2"}},
		{"all excluded", "{a: [1], exclude: [{a: 1}]}", nil},
		{"numbers by G15", "{a: [1.10, 0x10]}", []string{"j (1.1): a=1.1", "j (16): a=16"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cells, err := matrixOf(t, tt.matrix)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range cells {
				words := []string{c.Name + ":"}
				for _, v := range c.Values {
					words = append(words, v.Name+"="+expr.ToString(v.Value))
				}
				got = append(got, strings.Join(words, " "))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestExpandMatrixLimits(t *testing.T) {
	vector := func(n int) string {
		var s []string
		for i := range n {
			s = append(s, strconv.Itoa(i))
		}
		return "[" + strings.Join(s, ", ") + "]"
	}
	if cells, err := matrixOf(t, "{a: "+vector(16)+", b: "+vector(16)+"}"); err != nil || len(cells) != 256 {
		t.Errorf("%d cells, %v", len(cells), err)
	}
	for name, m := range map[string]string{
		"more than 256":        "{a: " + vector(257) + "}",
		"huge product":         "{a: " + vector(300) + ", b: " + vector(300) + ", c: " + vector(300) + "}",
		"empty vector":         "{a: []}",
		"no vector":            "{}",
		"exclude of no vector": "{a: [1], exclude: [{b: 1}]}",
	} {
		if _, err := matrixOf(t, m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	cells, err := matrixOf(t, "{a: ["+strings.Repeat("long ", 40)+"]}")
	if err != nil || len(cells[0].Name) != 100 || !strings.HasSuffix(cells[0].Name, "...") || len(cells[0].ID) > 25 {
		t.Errorf("%+v %v", cells, err)
	}
}
