// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

// oracleAnswer is what GitHub's library for editors says of a file.
type oracleAnswer struct {
	OK     bool `json:"ok"`
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

// askOracle asks GitHub's own library; ZVIZ_ORACLE names the folder that it is
// installed in.
func askOracle(t *testing.T, texts []string) []oracleAnswer {
	t.Helper()
	node := testenv.NeedTool(t, "node")
	dir := os.Getenv("ZVIZ_ORACLE")
	if dir == "" {
		t.Skip("needs GitHub's library: make oracle-expr installs it and sets ZVIZ_ORACLE")
	}
	var in bytes.Buffer
	for _, text := range texts {
		if err := json.NewEncoder(&in).Encode(map[string]string{"workflow": text, "name": oracleName}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join(dir, "eval.mjs"))
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers []oracleAnswer
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var a oracleAnswer
		if err := json.Unmarshal(s.Bytes(), &a); err != nil {
			t.Fatalf("%v: %s", err, s.Bytes())
		}
		answers = append(answers, a)
	}
	if len(answers) != len(texts) {
		t.Fatalf("%d answers to %d questions", len(answers), len(texts))
	}
	return answers
}

const oracleName = ".github/workflows/test.yml"

// mutate changes a line or two of a workflow, as a slip would.
func mutate(r *rand.Rand, text string) string {
	lines := strings.Split(text, "\n")
	for range 1 + r.IntN(2) {
		i := r.IntN(len(lines))
		switch r.IntN(7) {
		case 0:
			lines = slices.Delete(lines, i, i+1)
		case 1:
			lines = slices.Insert(lines, i, lines[r.IntN(len(lines))])
		case 2:
			lines[i] = "  " + lines[i]
		case 3:
			lines[i] = strings.TrimPrefix(lines[i], "  ")
		case 4:
			words := []string{"null", "5", "[a]", "{a: b}", "${{ github.x }}", "${{ matrix.x }}", "true", "''", "${{ a b }}", "x"}
			if k, _, ok := strings.Cut(lines[i], ":"); ok {
				lines[i] = k + ": " + words[r.IntN(len(words))]
			}
		case 5:
			keys := []string{"runs-on", "needs", "if", "env", "uses", "with", "run", "steps", "name", "id", "shell", "strategy", "foo"}
			if k, v, ok := strings.Cut(lines[i], ":"); ok {
				lines[i] = k[:len(k)-len(strings.TrimLeft(k, " -"))] + keys[r.IntN(len(keys))] + ":" + v
			}
		case 6:
			lines[i] = strings.ReplaceAll(lines[i], "github", "secrets")
		}
		if len(lines) == 0 {
			return ""
		}
	}
	return strings.Join(lines, "\n")
}

// libraryDiffers are the places where GitHub's library is known to answer otherwise
// than its server, which is ours to follow.
func libraryDiffers(message string) bool {
	return slices.ContainsFunc([]string{
		"Container image", "Unexpected type", "Expected format", "No event triggers", "Matrix", "Concurrency group",
	}, func(s string) bool { return strings.Contains(message, s) })
}

// notYAML says whether the library's YAML parser refuses a text, in words of its own.
func notYAML(message string) bool { return strings.Contains(message, " at line ") }

// unplaced is a message without the place in an expression, which the library leaves
// out of some.
func unplaced(message string) string {
	message, _, _ = strings.Cut(message, ". Located at position")
	return message
}

// TestOracle compares what we say of workflows with slips with what GitHub's library
// says: the verdict, and the errors word by word.
func TestOracle(t *testing.T) {
	const count = 400
	paths, _ := filepath.Glob(filepath.Join(testenv.Conformance(t, "workflow-parser"), "*.yml"))
	notLibrary, err := os.ReadFile(filepath.Join(testenv.Conformance(t, "workflow-parser"), "not-typescript.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, p := range paths {
		if name := filepath.Base(p); !strings.Contains(string(notLibrary), name) && !strings.Contains(name, "reusable") && !strings.Contains(name, "background") {
			sources = append(sources, readCase(t, p).text)
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	texts := make([]string, count)
	for i := range texts {
		texts[i] = mutate(r, sources[r.IntN(len(sources))])
	}
	same, refused, skipped := 0, 0, 0
	for i, a := range askOracle(t, texts) {
		_, p := workflows.Parse(oracleName, texts[i], workflows.Options{
			StrictEvents: true, Syntax: syntax.Options{NoBackground: true, Limits: syntax.Limits{MaxErrors: 1000, MaxErrorLength: 100_000}},
		})
		var want, got []string
		for _, e := range a.Errors {
			want = append(want, unplaced(e.Message))
		}
		for _, e := range p.Errors {
			got = append(got, unplaced(e.Error()))
		}
		switch {
		case slices.Equal(want, got):
			same++
		case slices.ContainsFunc(want, notYAML) && len(got) > 0:
			refused++
		case slices.ContainsFunc(append(want, got...), libraryDiffers):
			skipped++
		default:
			t.Errorf("want %q\ngot  %q\n%s", want, got, texts[i])
		}
	}
	t.Logf("%d the same, %d no YAML to both, %d where the library is known to differ", same, refused, skipped)
}
