// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
	"github.com/zviz/run/workflows/syntax"
)

// TestConformance runs the cases of the shared set as a run would, one job after the
// other, each in a cell of its own. The
// checkout of the own repository copies the files of the set. Cases with arguments of act's, or whose
// called workflows are in a repository, need the command line.
func TestConformance(t *testing.T) {
	dir := os.Getenv("ZVIZ_CONFORMANCE")
	if dir == "" {
		dir = "../../../shared/conformance"
	}
	table, err := os.ReadFile(filepath.Join(dir, "act", "cases.tsv"))
	if err != nil {
		if os.Getenv("ZVIZ_TEST_REQUIRE") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	data := os.DirFS(filepath.Join(dir, "act", "data"))
	ran := 0
	for row := range strings.Lines(string(table)) {
		c := append(strings.Split(strings.TrimRight(row, "\n"), "\t"), make([]string, 9)...)
		id, file, event, args, expect, must, mustnot, needs := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
		if id == "id" || args != "" || needs != "none" && needs != "node" {
			continue
		}
		text, err := fs.ReadFile(data, file)
		if err != nil {
			t.Fatal(err)
		}
		open := func(uses string) (string, error) {
			if uses == "./.github/workflows/zv-callee.yml" {
				uses = "own/_callee.yml"
			}
			b, err := fs.ReadFile(data, strings.TrimPrefix(uses, "./"))
			if err != nil {
				return "", errors.Join(err, workflows.ErrNotHere)
			}
			return string(b), nil
		}
		wf, problems := workflows.Parse(file, string(text), workflows.Options{Open: open, Syntax: syntax.Options{BackgroundSteps: true}})
		ran++
		t.Run(id, func(t *testing.T) {
			var rec record
			got := plan.Failure
			if len(problems.Errors) == 0 {
				got = runWhole(t, wf, event, filepath.Join(dir, "act", "data"), &rec)
			}
			if (got == plan.Success) != (expect == "success") {
				t.Errorf("%s, want %s", got, expect)
			}
			log := strings.Join(append(rec.printed(), rec.log()), "\n")
			for m := range strings.SplitSeq(must, ",") {
				if m != "" && !regexp.MustCompile(m).MatchString(log) {
					t.Errorf("/%s/ is missing", m)
				}
			}
			for m := range strings.SplitSeq(mustnot, ",") {
				if m != "" && regexp.MustCompile(m).MatchString(log) {
					t.Errorf("/%s/ is there", m)
				}
			}
			if t.Failed() {
				t.Log(problems, rec.log())
			}
		})
	}
	t.Logf("%d cases", ran)
	if ran < 50 {
		t.Errorf("only %d cases", ran)
	}
}

// runWhole runs a workflow.
func runWhole(t *testing.T, wf *workflows.Workflow, event, dir string, rec *record) plan.Conclusion {
	t.Helper()
	text := func(name, value string) expr.Member { return expr.Member{Name: name, Value: expr.String(value)} }
	p, err := plan.New(wf, plan.Options{Event: plan.Event{Name: event, Ref: "refs/heads/main"}, Any: true, GitHub: []expr.Member{
		text("repository", "nektos/conformance"), text("repository_owner", "nektos"), text("sha", strings.Repeat("a", 40)),
		text("actor", "octo"), text("server_url", "https://github.com"),
		text("workspace", job.Workspace("nektos/conformance")),
	}})
	if err != nil {
		t.Log(err)
		return plan.Failure
	}
	for {
		if conclusion, done := p.Done(); done {
			return conclusion
		}
		j := p.Next()
		if j == nil {
			t.Fatal("no job may start, and the run has not ended")
		}
		if err := p.Started(j.ID); err != nil {
			t.Fatal(err)
		}
		q, err := job.FromPlan(j, func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		cell := openCell(t)
		q.Cell, q.Actions, q.Emit = cell, workspaceActions{checkout(t, dir)}, rec.add
		res, err := job.Run(t.Context(), q)
		if err != nil {
			t.Errorf("%s: %v", j.ID, err)
		}
		if err := p.Finish(j.ID, res.Plan()); err != nil {
			t.Fatal(err)
		}
	}
}
