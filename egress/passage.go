// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"net"
	"sync"
	"sync/atomic"
)

// passage is an opaque connection to the outside that is open.
type passage struct {
	conn   *net.TCPConn
	to     authority
	origin origin
	seen   bool        // it began as a request that was judged: a WebSocket
	path   string      // of that request, escaped
	cut    atomic.Bool // a new step may not have it
	idle   atomic.Bool // nothing went through it
}

// explain puts into the event of a passage why it was ended, if we ended it.
func (p *passage) explain(e *Event) {
	switch {
	case p.cut.Load():
		e.Verdict, e.Reason, e.Hint = VerdictDeny, ReasonStep, "the running step may not reach the host"
	case p.idle.Load():
		e.Verdict, e.Reason, e.Hint = VerdictNote, ReasonIdle, "nothing went through the connection for longer than egress.limits.idle_timeout of the policy file"
	}
}

// all returns those that are open now.
func (s *passages) all() []*passage {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*passage, 0, len(s.open))
	for p := range s.open {
		list = append(list, p)
	}
	return list
}

// passages are those of a job.
type passages struct {
	mu   sync.Mutex
	open map[*passage]struct{}
}

func (s *passages) add(p *passage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*passage]struct{}{}
	}
	s.open[p] = struct{}{}
}

func (s *passages) remove(p *passage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
}

// judge cuts those that are not allowed any more.
func (s *passages) judge(allowed func(*passage) bool) {
	for _, p := range s.all() {
		if !allowed(p) {
			p.cut.Store(true)
			reset(p.conn)
		}
	}
}
