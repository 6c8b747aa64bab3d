// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// openCell opens a cell without a network.
func openCell(t *testing.T) *executor.Cell {
	t.Helper()
	testenv.NeedRoot(t)
	state, err := os.MkdirTemp("/var/tmp", "zviz-job") //nolint:usetesting // the sandbox has a /tmp of its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	x, err := executor.New(executor.Config{StateDir: state, Environ: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	cell, err := x.OpenCell(t.Context(), executor.CellRequest{Policy: executor.Policy{NoNetwork: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cell.Close(); err != nil {
			t.Error(err)
		}
	})
	return cell
}

// request is a job whose keys below jobs.a are the text, but for runs-on.
func request(t *testing.T, text string) job.Request {
	t.Helper()
	indented := strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
	wf, problems := workflows.Parse("ci.yml", "on: push\njobs:\n  a:\n    runs-on: x\n    "+indented+"\n", workflows.Options{Syntax: syntax.Options{BackgroundSteps: true}})
	if wf == nil || len(problems.Errors) > 0 {
		t.Fatal(problems)
	}
	j := wf.Jobs[0]
	q := job.Request{Timeout: time.Minute, CancelTimeout: 10 * time.Second, Steps: j.Steps, Outputs: j.Outputs, Contexts: expr.Values{"github": expr.NewObject(
		expr.Member{Name: "repository", Value: expr.String("octo/hello")},
		expr.Member{Name: "event_name", Value: expr.String("push")},
		expr.Member{Name: "sha", Value: expr.String("0123456789012345678901234567890123456789")},
		expr.Member{Name: "job", Value: expr.String("a")},
		expr.Member{Name: "event", Value: expr.NewObject(expr.Member{Name: "x", Value: expr.Number(1)})},
		expr.Member{Name: "token", Value: expr.String("ghs_placeholder")},
	)}}
	if j.Env != nil {
		for _, p := range j.Env.Pairs {
			q.Env = append(q.Env, job.Setting{Name: p.Key.String(), Text: later(p.Value)})
		}
	}
	if run := j.Defaults.Get("run"); run != nil {
		q.Defaults = job.Defaults{Shell: later(run.Get("shell")), Dir: later(run.Get("working-directory"))}
	}
	return q
}

// later is a text as written.
func later(t *syntax.Token) job.Text {
	if t.IsExpression() {
		return job.Text{Later: t}
	}
	return job.Text{Value: t.String()}
}

// record is what a job showed.
type record struct {
	mu     sync.Mutex
	events []job.Event
}

func (r *record) add(e job.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// log is everything as text.
func (r *record) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		switch e.Kind {
		case job.Line:
			fmt.Fprintf(&b, "%s %s: %s\n", e.Step, e.Stream, e.Text)
		case job.Annotated:
			a := e.Annotation
			fmt.Fprintf(&b, "%s [%s] %s", e.Step, a.Level, a.Message)
			if a.File != "" || a.Title != "" {
				fmt.Fprintf(&b, " (%s %s:%d-%d:%d-%d)", a.Title, a.File, a.Line, a.EndLine, a.Column, a.EndColumn)
			}
			b.WriteByte('\n')
		case job.StepFinished:
			fmt.Fprintf(&b, "%s = %s/%s %q\n", e.Step, e.Result.Outcome, e.Result.Conclusion, e.Result.Name)
		default:
			fmt.Fprintf(&b, "%s %s %s%s\n", e.Step, e.Kind, e.Name, e.Text)
		}
	}
	return b.String()
}

// printed are the lines on stdout.
func (r *record) printed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.events {
		if e.Kind == job.Line && e.Stream == job.Stdout {
			out = append(out, e.Text)
		}
	}
	return out
}

func runIn(ctx context.Context, t *testing.T, q job.Request) (job.Result, *record) {
	t.Helper()
	if q.Cell == nil {
		q.Cell = openCell(t) //nolint:contextcheck // tear-down outlives the context
	}
	var rec record
	q.Emit = rec.add
	res, err := job.Run(ctx, q)
	if err != nil {
		t.Errorf("%v\n%s", err, rec.log())
	}
	return res, &rec
}

// run runs a job and wants a conclusion.
func run(t *testing.T, q job.Request, want job.Conclusion) (job.Result, *record) {
	t.Helper()
	res, rec := runIn(t.Context(), t, q)
	if res.Conclusion != want {
		t.Errorf("the job is %s\n%s", res.Conclusion, rec.log())
	}
	return res, rec
}

// contains wants each text in the log.
func contains(t *testing.T, rec *record, texts ...string) {
	t.Helper()
	log := rec.log()
	for _, s := range texts {
		if !strings.Contains(log, s) {
			t.Errorf("%q is not in\n%s", s, log)
		}
	}
}

// lacks wants none of the texts in the log.
func lacks(t *testing.T, rec *record, texts ...string) {
	t.Helper()
	log := rec.log()
	for _, s := range texts {
		if strings.Contains(log, s) {
			t.Errorf("%q is in\n%s", s, log)
		}
	}
}
