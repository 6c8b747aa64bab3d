// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/zviz/run/cmd/zviz-runner/internal/runview"
	"github.com/zviz/run/workflows/plan"
)

// errUnread is why a run ends whose output nobody reads.
var errUnread = errors.New("its output cannot be written")

// view shows a run.
func (r *running) view(jobs int, artifacts func() []runview.Artifact, cancel context.CancelCauseFunc) runview.View {
	mode := runview.Mode(r.progress)
	switch {
	case r.json:
		mode = runview.JSON
	case r.quiet:
		mode = runview.Quiet
	}
	return runview.New(runview.Config{
		Out: r.Out, Getenv: r.getenv, Mode: mode, Color: r.color, Verbose: r.verbose, Jobs: jobs, Artifacts: artifacts,
		Broken: func(err error) { cancel(fmt.Errorf("%w: %w", errUnread, err)) },
	})
}

// jobCount is how many jobs there are at least.
func jobCount(nodes []plan.Node) int {
	n := 0
	for _, j := range nodes {
		switch {
		case len(j.Jobs) > 0:
			n += jobCount(j.Jobs) * max(len(j.Cells), 1)
		default:
			n += max(len(j.Cells), 1)
		}
	}
	return n
}

// show prints the jobs of a plan as the flags want them.
func (a app) show(o *runOptions, file string, nodes []plan.Node) error {
	switch {
	case o.graph && o.json:
		return runview.GraphJSON(a.Out, file, nodes)
	case o.graph:
		return runview.Graph(a.Out, nodes)
	case o.json:
		return runview.ListJSON(a.Out, file, nodes)
	default:
		return runview.List(a.Out, nodes)
	}
}

// printPlans prints what would be run.
func (a app) printPlans(list []runnable, o *runOptions) error {
	for i, w := range list {
		p, err := plan.New(w.Workflow, w.Plan)
		if err != nil {
			return planError(w.workflowFile, err)
		}
		if len(list) > 1 && !o.json {
			if err := printLine(a.Out, w.path+":"); err != nil {
				return err
			}
		}
		if o.dry {
			err = a.dryRun(w, p, o)
		} else {
			err = a.show(o, w.path, p.Graph())
		}
		if err != nil {
			return err
		}
		if i+1 < len(list) && !o.json {
			if err := printLine(a.Out, ""); err != nil {
				return err
			}
		}
	}
	return nil
}
