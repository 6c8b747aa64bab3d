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
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
	"github.com/zviz/run/workflows/syntax"
)

// TestConformance runs the cases of the shared set as a run would, one job after the
// other, each in a cell of its own. The
// checkout of the own repository copies the files of the set.
func TestConformance(t *testing.T) {
	dir := testenv.Conformance(t, "act")
	table, err := os.ReadFile(filepath.Join(dir, "cases.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	data := os.DirFS(filepath.Join(dir, "data"))
	ran := 0
	for row := range strings.Lines(string(table)) {
		c := append(strings.Split(strings.TrimRight(row, "\n"), "\t"), make([]string, 9)...)
		id, file, event, args, expect, must, mustnot, needs := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
		if id == "id" || needs != "none" && needs != "node" {
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
				got = runWhole(t, wf, event, strings.Fields(args), filepath.Join(dir, "data"), &rec)
			}
			if why, ok := refused()[id]; ok {
				if len(problems.Errors) == 0 || !strings.Contains(problems.Errors[0].Error(), why) {
					t.Errorf("want %q, got %v", why, problems.Errors)
				}
				return
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

// unquote is a value of a file of variables.
func unquote(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return strings.ReplaceAll(s[1:len(s)-1], `\n`, "\n")
	}
	return s
}

// refused are the cases that GitHub's own parser refuses too, for which act is laxer.
func refused() map[string]string {
	return map[string]string{
		"uses-workflow":        "Invalid secret, secret is not defined in the referenced workflow.",
		"workflow_call_inputs": "Required property is missing: type",
	}
}

// arguments are those of a case, in act's spelling.
func arguments(t *testing.T, args []string, dir string, o *plan.Options) (secrets map[string]string, env []job.Setting) {
	t.Helper()
	file := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	secrets, o.Inputs = map[string]string{}, map[string]string{}
	secret := func(line string) {
		name, value, _ := strings.Cut(line, "=")
		secrets[name] = unquote(value)
		o.Secrets = append(o.Secrets, name)
	}
	for len(args) > 1 {
		switch value := args[1]; args[0] {
		case "--input":
			name, v, _ := strings.Cut(value, "=")
			o.Inputs[name] = v
		case "--secret":
			secret(value)
		case "--secret-file":
			for line := range strings.SplitSeq(strings.TrimSpace(file(value)), "\n") {
				secret(line)
			}
		case "--env-file":
			for line := range strings.SplitSeq(strings.TrimSpace(file(value)), "\n") {
				name, v, _ := strings.Cut(line, "=")
				env = append(env, job.Setting{Name: name, Text: job.Text{Value: unquote(v)}})
			}
		case "-e":
			v, err := expr.ParseJSON(file(value))
			if err != nil {
				t.Fatal(err)
			}
			o.Event.Payload, _ = v.(*expr.Object)
		default:
			t.Fatalf("argument %s", args[0])
		}
		args = args[2:]
	}
	return secrets, env
}

// runWhole runs a workflow.
func runWhole(t *testing.T, wf *workflows.Workflow, event string, args []string, dir string, rec *record) plan.Conclusion {
	t.Helper()
	text := func(name, value string) expr.Member { return expr.Member{Name: name, Value: expr.String(value)} }
	o := plan.Options{Event: plan.Event{Name: event, Ref: "refs/heads/main"}, Any: true, GitHub: []expr.Member{
		text("repository", "nektos/conformance"), text("repository_owner", "nektos"), text("sha", strings.Repeat("a", 40)),
		text("actor", "octo"), text("server_url", "https://github.com"),
		text("workspace", job.Workspace("nektos/conformance")),
	}}
	secrets, env := arguments(t, args, dir, &o)
	p, err := plan.New(wf, o)
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
		q, err := job.FromPlan(j, func(_, name string) string { return secrets[name] })
		if err != nil {
			t.Fatal(err)
		}
		cell := openCell(t)
		q.Env = append(env, q.Env...)
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
