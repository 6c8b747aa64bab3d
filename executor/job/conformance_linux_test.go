// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// TestConformance runs the cases of the shared set whose workflow is one plain job: no
// matrix, no needs, no called workflow, and no action but checkout, which does
// nothing here. The rest needs what plans a run.
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
	ran := 0
	for row := range strings.Lines(string(table)) {
		c := append(strings.Split(strings.TrimRight(row, "\n"), "\t"), make([]string, 9)...)
		id, file, event, args, expect, must, mustnot, needs := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
		if id == "id" || event != "push" || args != "" || needs != "none" && needs != "node" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "act", "data", file))
		if err != nil {
			t.Fatal(err)
		}
		wf, problems := workflows.Parse(file, string(text), workflows.Options{Syntax: syntax.Options{BackgroundSteps: true}})
		if wf == nil || len(problems.Errors) > 0 || !plain(wf) {
			continue
		}
		ran++
		t.Run(id, func(t *testing.T) {
			q := planned(wf)
			res, rec := runIn(t.Context(), t, q)
			if got := res.Conclusion == job.Success; got != (expect == "success") {
				t.Errorf("%s, want %s", res.Conclusion, expect)
			}
			// As a log, in which the scripts are not shown.
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
				t.Log(rec.log())
			}
		})
	}
	t.Logf("%d cases", ran)
	if ran < 20 {
		t.Errorf("only %d cases", ran)
	}
}

// plain reports whether a workflow is a job without a plan.
func plain(wf *workflows.Workflow) bool {
	if len(wf.Jobs) != 1 {
		return false
	}
	j := wf.Jobs[0]
	return j.Uses == nil && j.Strategy == nil && j.Container == nil && j.Services == nil && len(j.Needs) == 0 &&
		!slices.ContainsFunc(j.Steps, func(s *workflows.Step) bool {
			return s.Uses != nil && !strings.HasPrefix(s.Uses.Text, "actions/checkout@")
		})
}

// planned is the job of a plain workflow as a planner would have it.
func planned(wf *workflows.Workflow) job.Request {
	j := wf.Jobs[0]
	github := expr.NewObject(
		expr.Member{Name: "repository", Value: expr.String("nektos/conformance")},
		expr.Member{Name: "repository_owner", Value: expr.String("nektos")},
		expr.Member{Name: "event_name", Value: expr.String("push")},
		expr.Member{Name: "ref", Value: expr.String("refs/heads/main")},
		expr.Member{Name: "ref_name", Value: expr.String("main")},
		expr.Member{Name: "sha", Value: expr.String(strings.Repeat("a", 40))},
		expr.Member{Name: "job", Value: expr.String(j.ID.Text)},
		expr.Member{Name: "workflow", Value: expr.String(wf.Name.String())},
		expr.Member{Name: "actor", Value: expr.String("octo")},
		expr.Member{Name: "server_url", Value: expr.String("https://github.com")},
	)
	q := job.Request{Steps: j.Steps, Outputs: j.Outputs, Contexts: expr.Values{"github": github}, Actions: noCheckout{}}
	for _, m := range []*syntax.Token{wf.Env, j.Env} {
		if m != nil {
			for _, p := range m.Pairs {
				q.Env = append(q.Env, job.Setting{Name: p.Key.String(), Text: later(p.Value)})
			}
		}
	}
	for _, d := range []*syntax.Token{wf.Defaults, j.Defaults} {
		if run := d.Get("run"); run != nil {
			if s := run.Get("shell"); s != nil {
				q.Defaults.Shell = later(s)
			}
			if s := run.Get("working-directory"); s != nil {
				q.Defaults.Dir = later(s)
			}
		}
	}
	return q
}
