// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// slotPatience is how long a connection or a request waits for its turn. A client may
// open some hundred at once, and each needs its slot for a moment only; who floods us
// is refused when it is over.
const slotPatience = 3 * time.Second

// slot is what a connection holds of Limits.Handshakes while it has not said what
// it wants: at every door, and again whenever a new head of a request begins. It
// may be taken and given back any number of times.
type slot struct {
	of chan struct{}

	mu   sync.Mutex
	held bool
}

// take reports whether the slot is held; it does not wait.
func (s *slot) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return true
	}
	select {
	case s.of <- struct{}{}:
		s.held = true
	default:
	}
	return s.held
}

// wait takes the slot, and waits for one if there is none. Whoever waits holds no
// memory but its goroutine, and connections are capped before.
func (s *slot) wait(ctx context.Context, patience time.Duration) bool {
	if s.take() {
		return true
	}
	if !takeWithin(ctx, s.of, patience) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
	return true
}

// takeWithin puts a token into a channel, for as long as patience lasts.
func takeWithin(ctx context.Context, into chan struct{}, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case into <- struct{}{}:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

func (s *slot) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		<-s.of
		s.held = false
	}
}

// has reports whether the connection still has to say what it wants.
func (s *slot) has() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// limited is a refusal because a cap is reached. Where the job wanted to go makes
// no difference to it, so that a flood folds into few events.
func limited(e Event, name string, most int) Event {
	e.Dst = ""
	e.Verdict, e.Reason, e.Rule = VerdictDeny, ReasonLimit, "default"
	e.Hint = fmt.Sprintf("the limit of %d is reached: egress.limits.%s of the policy file", most, name)
	return e
}
