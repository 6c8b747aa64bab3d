// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"io"
	"sync"
	"time"

	"github.com/zviz/run/executor/run"
)

// egressMost is how many decisions of the network wait for a reader who is slow. More
// are counted.
const egressMost = 4096

// renderer is a View without its threads: its methods are called one at a time.
type renderer interface {
	event(run.Event)
	tick() // as often as asked for
	end()
}

// serial calls a renderer for one event after the other.
type serial struct {
	mu    sync.Mutex // of the renderer
	r     renderer
	w     *writer
	tally *tally
	over  bool
	pause pause

	queue struct {
		sync.Mutex
		events []run.Event // of the network
		lost   int
	}
	wake    chan struct{}
	stop    chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

// start makes the View; every is how often the renderer's tick is called, 0 for never.
func start(r renderer, w *writer, t *tally, every time.Duration) *serial {
	s := &serial{r: r, w: w, tally: t, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	s.running.Go(func() {
		var tick <-chan time.Time
		if every > 0 {
			t := time.NewTicker(every)
			defer t.Stop()
			tick = t.C
		}
		for {
			select {
			case <-s.stop:
				return
			case <-s.wake:
				s.locked(func() {})
			case <-tick:
				s.locked(r.tick)
			}
		}
	})
	return s
}

func (s *serial) Event(e run.Event) {
	if e.Kind != run.JobEgress {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.over:
		case s.pause.on:
			s.pause.keep(e)
		default:
			s.drain()
			s.r.event(e)
		}
		return
	}
	s.queue.Lock()
	if len(s.queue.events) < egressMost {
		s.queue.events = append(s.queue.events, e)
	} else {
		s.queue.lost++
	}
	s.queue.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// locked does something after what waits.
func (s *serial) locked(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.pause.on {
		return
	}
	s.drain()
	do()
}

func (s *serial) drain() {
	s.queue.Lock()
	events := s.queue.events
	s.queue.events = nil
	s.tally.lost = s.queue.lost
	s.queue.Unlock()
	for _, e := range events {
		s.r.event(e)
	}
}

func (s *serial) Close() {
	s.once.Do(func() { close(s.stop) })
	s.running.Wait()
	s.resume()
	s.locked(func() {
		s.r.end()
		s.over = true
	})
}

func (s *serial) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.err
}

// writer writes until it fails.
type writer struct {
	to     io.Writer
	broken func(error)
	err    error
}

func (w *writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.to.Write(p)
	if err != nil {
		w.err = err
		if w.broken != nil {
			w.broken(err)
		}
	}
	return n, err
}
