// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/zviz/run/egress"
)

// DeniedError says that a refusal of the network ended what ran: egress.on_deny.
type DeniedError struct {
	Event  egress.Event // the first one that nobody expected
	OnDeny egress.OnDeny
}

func (e *DeniedError) Error() string {
	what := e.Event.Host
	if what == "" {
		what = e.Event.Dst
	}
	return fmt.Sprintf("ended because %s was denied (%s; on_deny: %s)", what, e.Event.Reason, e.OnDeny)
}

// Hint says what to do.
func (e *DeniedError) Hint() string {
	return "if it is known and harmless: egress.expect_denied of the policy file"
}

// Code is the stable name of the error.
func (e *DeniedError) Code() string { return "egress.denied" }

// denials ends the running command at the first refusal that nobody expects.
type denials struct {
	onDeny egress.OnDeny

	mu     sync.Mutex
	canary error // a *CanaryError: nothing runs any more
	denied *DeniedError
	began  time.Time               // of the running command
	after  bool                    // it follows one that was ended
	cancel context.CancelCauseFunc // of the running command; nil if none runs
}

// lastWords is how long after the beginning of a step a refusal that no living process
// asked for is taken for one of the step before.
const lastWords = time.Second

// observe looks at an event.
func (d *denials) observe(e egress.Event) {
	if e.Canary != "" {
		d.found(canaryOf(e))
		return
	}
	if d.onDeny != egress.FailStep && d.onDeny != egress.FailJob || !e.Unexpected() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	// Of a step before: told late, or asked by a process that was ended with it, and of
	// which a question was still on its way.
	if d.onDeny == egress.FailStep && (e.Time.Before(d.began) || d.after && e.PID == 0 && e.Time.Before(d.began.Add(lastWords))) {
		return
	}
	if d.denied == nil {
		d.denied = &DeniedError{e, d.onDeny}
	}
	if d.cancel != nil {
		d.cancel(d.denied)
	}
}

// found ends everything because a planted credential turned up.
func (d *denials) found(err *CanaryError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.canary == nil {
		d.canary = err
	}
	if d.cancel != nil {
		d.cancel(d.canary)
	}
}

// begin says that a command runs, which cancel ends. With fail-job nothing runs any
// more after a refusal, also one between two commands.
func (d *denials) begin(cancel context.CancelCauseFunc) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.canary != nil {
		return d.canary
	}
	if d.denied != nil && d.onDeny == egress.FailJob {
		return d.denied
	}
	d.after, d.denied, d.cancel, d.began = d.denied != nil, nil, cancel, time.Now()
	return nil
}

// end says that the command is over, and returns what ended it.
func (d *denials) end() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancel = nil
	if d.canary != nil {
		return d.canary
	}
	if d.denied == nil {
		return nil
	}
	return d.denied
}
