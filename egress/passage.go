// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// errStep ends what a new step may not have.
var errStep = errors.New("the running step may not reach the host")

// passage is something that is on its way to the outside: an opaque connection or a
// request.
type passage struct {
	to     authority // no host: an address
	origin origin
	// conn is the job's side, which is ended if nothing goes through it for too long;
	// nil if that is not looked at.
	conn  *net.TCPConn
	still func(decision) bool // whether a decision of now allows it
	end   func()
	cut   atomic.Bool // a new step may not have it
	idle  atomic.Bool // nothing went through it
}

// explain puts into the event of a passage why it was ended, if we ended it.
func (p *passage) explain(e *Event) {
	switch {
	case p.cut.Load():
		e.Verdict, e.Reason, e.Hint = VerdictDeny, ReasonStep, errStep.Error()
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

// stepReader ends with the passage: a host that sees the end of the connection may
// send last words, which are not for the new step.
type stepReader struct {
	io.ReadCloser
	of *passage
}

func (r stepReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	if r.of.cut.Load() {
		return 0, errStep
	}
	return n, err
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

// depart notes a passage. A step may have begun since it was judged.
func (g *gateway) depart(p *passage) {
	g.passages.add(p)
	if g.policies.step() != "" {
		g.settle(p)
	}
}

// settle ends a passage that the policies of now do not allow.
func (g *gateway) settle(p *passage) {
	d := g.policies.host(p.origin, p.to.host, p.to.port)
	if p.to.host == "" {
		d = g.policies.nameless(p.origin, ReasonNoSNI)
	}
	if (d.denied() || !p.still(d)) && p.cut.CompareAndSwap(false, true) {
		p.end()
	}
}
