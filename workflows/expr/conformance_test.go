// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows/expr/jsonl"
)

// testCase is one case of GitHub's expression data.
type testCase struct {
	Expr     string          `json:"expr"`
	Contexts json.RawMessage `json:"contexts,omitempty"`
	Result   struct {
		Kind  string `json:"kind"`
		Value any    `json:"value"`
	} `json:"result"`
	Err *struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	} `json:"err"`
}

// cases reads all cases by name.
func cases(tb testing.TB) map[string]testCase {
	tb.Helper()
	all := map[string]testCase{}
	files, err := filepath.Glob(filepath.Join(testenv.Conformance(tb, "expressions"), "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no data: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		var groups map[string][]testCase
		if err := json.Unmarshal(text, &groups); err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		for group, list := range groups {
			for i, c := range list {
				all[fmt.Sprintf("%s/%s/%d", strings.TrimSuffix(filepath.Base(file), ".json"), group, i)] = c
			}
		}
	}
	return all
}

// TestConformance wants GitHub's answer to each case of its own data. known.txt
// names those that we do not give, with the reason; it must not name others.
func TestConformance(t *testing.T) {
	known := readKnown(t)
	all := cases(t)
	passed := 0
	for name, c := range all {
		err := c.check()
		reason, listed := known[name]
		switch {
		case err == nil && listed:
			t.Errorf("%s passes: take it out of known.txt (%s)", name, reason)
		case err != nil && !listed:
			t.Errorf("%s: %s: %v", name, c.Expr, err)
		case err == nil:
			passed++
		}
	}
	for name := range known {
		if _, ok := all[name]; !ok {
			t.Errorf("known.txt: there is no case %s", name)
		}
	}
	t.Logf("%d of %d", passed, len(all))
}

// readKnown reads lines of a case and a reason.
func readKnown(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "known.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	known := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("known.txt: %q has no tab and reason", line)
		}
		known[name] = reason
	}
	return known
}

// answer is a line that answers.
type answer struct {
	OK     bool   `json:"ok"`
	Kind   string `json:"kind"`
	Value  any    `json:"value"`
	String string `json:"string"`
	Truthy bool   `json:"truthy"`
	Stage  string `json:"stage"`
	Error  string `json:"error"`
}

func ask(src string, contexts json.RawMessage) (answer, error) {
	line, err := json.Marshal(testCase{Expr: src, Contexts: contexts})
	if err != nil {
		return answer{}, err
	}
	var a answer
	err = json.Unmarshal(jsonl.Answer(line), &a)
	return a, err
}

func (c testCase) check() error {
	got, err := ask(c.Expr, c.Contexts)
	switch {
	case err != nil:
		return err
	case c.Err != nil && (got.OK || got.Stage != c.Err.Kind || !strings.Contains(got.Error, c.Err.Value)):
		return fmt.Errorf("got %+v, want the error %+v", got, *c.Err)
	case c.Err == nil && (!got.OK || got.Kind != c.Result.Kind || !reflect.DeepEqual(plain(got.Value), plain(c.Result.Value))):
		return fmt.Errorf("got %+v, want %+v", got, c.Result)
	}
	return nil
}

// plain is what JavaScript's JSON makes of a value: NaN and infinities are null,
// -0 is 0.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case map[string]any:
		if n, ok := v["$num"]; ok {
			if n == "-0" {
				return 0.0
			}
			return nil
		}
		out := map[string]any{}
		for name, item := range v {
			out[name] = plain(item)
		}
		return out
	case float64:
		if v == 0 {
			return math.Abs(v)
		}
		return v
	default:
		return v
	}
}
