// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"fmt"
	"strconv"
	"time"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
)

// statusMost is how many rows the status takes at most; of a small terminal, half.
const statusMost = 8

// status are the rows below the lines: each job that runs, its step, and since when.
func (v *terminal) status(rows, cols int) []string {
	if len(v.running) == 0 {
		return nil
	}
	var list []string
	most := max(min(statusMost, rows/2), 1)
	if len(v.running) > 1 || v.total > 1 {
		list = append(list, v.overall())
	}
	room := most - len(list)
	for i, j := range v.running {
		if left := len(v.running) - i; i+1 >= room && left > 1 {
			if room > 0 {
				list = append(list, "  and "+ui.Count(left, "more job", "more jobs"))
			}
			break
		}
		if room > 0 {
			list = append(list, jobRow(j))
		}
	}
	for i, row := range list {
		// The last column stays free: some terminals wrap as soon as it is written.
		list[i] = v.colors.Dim(ui.Clip(row, cols-1))
	}
	return list
}

func (v *terminal) overall() string {
	done := strconv.Itoa(v.ended)
	if v.total >= v.ended+len(v.running) {
		done += " of " + strconv.Itoa(v.total)
	}
	return fmt.Sprintf("%d running, %s done  %s", len(v.running), done, elapsed(v.since))
}

func jobRow(j *jobState) string {
	switch {
	case j.current == nil && j.prepares != "":
		return fmt.Sprintf("  %s: gets %s  %s", j.name, j.prepares, elapsed(j.since))
	case j.current == nil:
		return fmt.Sprintf("  %s  %s", j.name, elapsed(j.since))
	}
	return fmt.Sprintf("  %s: %s  %s", j.name, j.current.name, elapsed(j.current.since))
}

// elapsed is in whole seconds, so that it is not drawn anew all the time.
func elapsed(since time.Time) string {
	return time.Since(since).Truncate(time.Second).String()
}
