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
	conn   *net.TCPConn        // the job's side
	opaque bool                // ended if nothing goes through it for too long
	still  func(decision) bool // whether a decision of now allows it
	end    func()
	state  atomic.Int32 // one of passage*
	idle   atomic.Bool  // nothing went through it
}

// The states of a passage. It leaves the first one once.
const (
	passageOpen  = iota
	passageWhole // all that it was for has gone through
	passageCut   // a new step may not have it
	passageLeft  // nor may it, but nobody wants it any more
)

func (p *passage) cut() bool { return p.state.Load() == passageCut }

// ended reports whether a new step may not have it.
func (p *passage) ended() bool { return p.state.Load() >= passageCut }

// whole notes that no more will go through. It reports false if a new step may not
// have it.
func (p *passage) whole() bool {
	return p.state.CompareAndSwap(passageOpen, passageWhole) || p.state.Load() == passageWhole
}

// explain puts into the event of a passage why it was ended, if we ended it.
func (p *passage) explain(e *Event) {
	switch {
	case p.cut():
		e.Step = "" // the one of now denies it
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
	of   *passage
	left int64 // bytes to come; below 0 if the host did not say
}

func (r *stepReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	// The job has its answer with the last byte, and may end its step before the next
	// line is reached.
	last := errors.Is(err, io.EOF)
	if r.left >= 0 {
		r.left = max(r.left-int64(n), 0)
		last = last || r.left == 0
	}
	if last && !r.of.whole() || !last && r.of.state.Load() != passageOpen {
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

// settle ends a passage that the policies of now do not allow. That is a denial only
// if there is somebody whom it is denied: the process of an earlier step may have hung
// up, and the passage not have come to its end yet.
func (g *gateway) settle(p *passage) {
	d := g.policies.host(p.origin, p.to.host, p.to.port)
	if p.to.host == "" {
		d = g.policies.nameless(p.origin, ReasonNoSNI)
	}
	if !d.denied() && p.still(d) {
		return
	}
	state := int32(passageCut)
	if hungUp(p.conn) {
		state = passageLeft
	}
	if p.state.CompareAndSwap(passageOpen, state) {
		p.end()
	}
}
