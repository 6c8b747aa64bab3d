// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// ran is what the steps of a cell did so far.
type ran struct {
	layers  []sandbox.LayerReport
	user    time.Duration
	system  time.Duration
	denials []ReportDenial
}

// note keeps what a step did for the report. What it left in the background is not in it.
func (l *Cell) note(s Step, layers []sandbox.LayerReport, res sandbox.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ran.layers == nil {
		l.ran.layers = layers // all steps have the same
	}
	l.ran.user += res.Usage.User
	l.ran.system += res.Usage.System
	for _, d := range res.Denials {
		l.ran.denials = append(l.ran.denials, ReportDenial{
			Syscall: d.Syscall, Errno: unix.ErrnoName(d.Errno), Count: d.Count, PID: d.PID, Exe: d.Exe, Step: cmp.Or(s.As.Name, s.As.ID),
		})
	}
}

// Report ends the job's network and is the evidence of the job: layers, use of the
// machine, refusals and connections. What only the caller knows (the conclusion, steps,
// outputs) is not filled in; with an Error it is a failure. Of use after the last step, before Close.
func (l *Cell) Report() Report {
	// Until the network is closed there are requests under way that are no event yet, and
	// refusals that were only counted.
	if l.c.network != nil {
		if err := l.c.network.Close(); err != nil {
			l.x.cfg.Log.Warn("tear-down", slog.String("job", l.c.job.ID), slog.Any("error", err))
		}
	}
	rep := newReport(Request{Policy: l.policy})
	rep.Kind, rep.Cause = "job", sandbox.CauseExited
	rep.ID, rep.Started, rep.Ended = l.c.job.ID, l.began.UTC(), time.Now().UTC()
	rep.Limits = reportLimits(l.c.spec.Limits)
	l.mu.Lock()
	rep.Layers = append(rep.Layers, l.ran.layers...)
	rep.Denials = append(rep.Denials, l.ran.denials...)
	rep.Usage = ReportUsage{WallMS: time.Since(l.began).Milliseconds(), UserMS: l.ran.user.Milliseconds(), SysMS: l.ran.system.Milliseconds()}
	l.mu.Unlock()
	if l.group != nil {
		u := l.group.Usage()
		rep.Usage.MemoryPeakBytes, rep.Usage.PidsPeak, rep.Usage.OOMKills, rep.Usage.PidsDenied = u.MemoryPeakBytes, u.PidsPeak, u.OOMKills, l.group.PidsDenied()
	}
	if l.c.network != nil {
		rep.Egress.Complete = l.c.network.Complete()
	}
	if l.onHost {
		rep.Egress.Complete = false
	}
	l.c.mu.Lock()
	events := slices.Clone(l.c.events)
	rep.Egress.Head = cmp.Or(l.c.head, egress.ChainStart(l.c.job.ID))
	l.c.mu.Unlock()
	rep.connections(events)
	rep.offer(l.Packages())
	rep.Error = l.ended()
	return rep
}

// ended is what ended the whole job, whatever its steps may tolerate.
func (l *Cell) ended() *ReportError {
	err := l.c.denials.end()
	if found, ok := errors.AsType[*CanaryError](err); ok {
		return &ReportError{Code: found.Code(), What: l.c.hidden.text(found.Error()), Why: found.Why(), Fix: found.Hint(), Exit: 1}
	}
	if d, ok := errors.AsType[*DeniedError](err); ok && d.OnDeny == egress.FailJob {
		return &ReportError{Code: d.Code(), What: d.Error(), Fix: d.Hint(), Exit: 1}
	}
	return nil
}
