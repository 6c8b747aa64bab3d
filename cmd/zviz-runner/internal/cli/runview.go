// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
)

type runView interface {
	Event(e run.Event)
	Close()
}

type tmpView struct{ r *running }

func (r *running) view() runView { return tmpView{r} }
func (v tmpView) Close()         {}
func (v tmpView) Event(e run.Event) {
	w := v.r.Out
	switch e.Kind {
	case run.JobStep:
		s := e.Step
		switch s.Kind {
		case job.Line:
			fmt.Fprintf(w, "[%s] %s\n", e.Name, ui.CleanLine(s.Text))
		case job.Annotated:
			fmt.Fprintf(w, "[%s] %s: %s\n", e.Name, s.Annotation.Level, ui.CleanLine(s.Annotation.Message))
		case job.StepFinished:
			fmt.Fprintf(w, "[%s] == %s: %s (%v)\n", e.Name, s.Name, s.Result.Outcome, s.Result.Duration)
		default:
			fmt.Fprintf(w, "[%s] == %s %s %s\n", e.Name, s.Kind, s.Name, s.Text)
		}
	case run.JobEgress:
		fmt.Fprintf(w, "[%s] %s %s %s\n", e.Name, e.Egress.Verdict, e.Egress.Host, e.Egress.Reason)
	default:
		fmt.Fprintf(w, "%s %s %s %s %v\n", e.Kind, e.Name, e.Conclusion, e.Why, e.Duration)
	}
}

func (a app) printPlans(list []runnable, o *runOptions) error { return nil }
