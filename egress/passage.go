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
	cut    atomic.Bool // a new step may not have it
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
	s.mu.Lock()
	list := make([]*passage, 0, len(s.open))
	for p := range s.open {
		list = append(list, p)
	}
	s.mu.Unlock()
	for _, p := range list {
		if !allowed(p) {
			p.cut.Store(true)
			reset(p.conn)
		}
	}
}
