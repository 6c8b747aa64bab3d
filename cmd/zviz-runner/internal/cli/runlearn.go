// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"slices"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// teach prints the policy that a run with --egress learn has learned. It goes to standard
// error, of which a run uses nothing else, so that it can be kept as a file.
func (r *running) teach(list []runnable) error {
	command := []string{"zviz-runner", "run"}
	var events []egress.Event
	learns := false
	for i, res := range r.results {
		learns = learns || list[i].Policy.Egress.Mode == egress.ModeLearn
		command = append(command, list[i].path)
		for _, j := range res.Jobs {
			if j.Report != nil && j.Report.Cause != sandbox.CauseNotStarted {
				events = slices.Concat(events, j.Report.Egress.Events)
			}
		}
	}
	if learns && !r.quiet && !r.json {
		return lesson(r.Err, command, egress.Learn(events), func(s string) string { return s }) // it has no secrets
	}
	return nil
}
