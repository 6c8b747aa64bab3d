// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"fmt"
	"sync"
)

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
