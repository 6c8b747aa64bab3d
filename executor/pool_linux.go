// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zviz/run/egress"
)

const (
	// PoolMost is how many cells a pool keeps at most. Each takes half a megabyte,
	// a range of host ids, control groups and a folder on disk.
	PoolMost = 256

	// poolAge is how long a cell waits for its job at most: what it was made of, the
	// operator's settings and a certificate for 24 hours, gets old.
	poolAge = time.Hour

	poolPause     = 10 * time.Millisecond // a job that got its cell starts first
	poolRetry     = time.Second           // after a cell could not be opened; doubled each time
	poolRetryMost = time.Minute
)

// Pool keeps cells of one kind ready for jobs: network, control groups, folders and
// the sandbox of the first step are there, and its first process waits for a
// command. A cell is given to one job and never comes back; another one is made in
// the background. A Pool is safe for concurrent use.
type Pool struct {
	x    *Executor
	kind CellRequest
	size int

	wake chan struct{} // a cell was taken
	stop context.CancelCauseFunc
	done chan struct{} // the refill has ended

	mu     sync.Mutex
	closed bool
	ready  []pooled // the oldest first
	state  PoolState
	errs   []error // of cells that were thrown away
}

type pooled struct {
	cell *Cell
	made time.Time
}

var errPoolClosed = errors.New("the pool is closed")

// PoolState says how a pool does.
type PoolState struct {
	Size     int   // cells that it keeps
	Ready    int   // cells that are there now
	Prepared int   // jobs that got one of them
	Late     int   // jobs for which none was there, so that theirs was made at the request
	Err      error // why the last cell could not be made; nil if it could
}

// JobRequest is what a cell has of its job.
type JobRequest struct {
	Secrets []string           // masked in egress events
	Observe func(egress.Event) // may be nil, must not block

	// Services have the handlers of those that the pool's cells were opened with.
	Services []egress.Service
}

// NewPool starts to make cells. Secrets and Observe of the request, and the handlers of
// its services, are the jobs' own, given to Take, and must be empty here. Close ends it.
func (x *Executor) NewPool(kind CellRequest, size int) (*Pool, error) {
	if size < 1 || size > PoolMost {
		return nil, fmt.Errorf("a pool of %d cells: from 1 to %d", size, PoolMost)
	}
	handled := slices.ContainsFunc(kind.Services, func(s egress.Service) bool { return s.Handler != nil })
	if kind.Secrets != nil || kind.Observe != nil || kind.Phase != nil || handled {
		return nil, errors.New("bug: a pool's cells have no job yet")
	}
	ctx, stop := context.WithCancelCause(context.Background())
	p := &Pool{x: x, kind: kind, size: size, wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{}), state: PoolState{Size: size}}
	go p.refill(ctx)
	return p, nil
}

// Take gives a cell to a job, which closes it. If none is ready one is made now;
// State tells how often. The context bounds that.
func (p *Pool) Take(ctx context.Context, job JobRequest) (*Cell, error) {
	cell, err := p.next()
	if err != nil {
		return nil, err
	}
	if cell == nil {
		kind := p.kind
		kind.Secrets, kind.Observe = job.Secrets, job.Observe
		if cell, err = p.x.OpenCell(ctx, kind); err != nil {
			return nil, err
		}
	}
	if err := cell.c.services.give(job.Services); err != nil {
		return nil, errors.Join(err, cell.Close()) //nolint:contextcheck // tear-down outlives the context
	}
	cell.c.mu.Lock()
	defer cell.c.mu.Unlock()
	cell.c.hidden, cell.c.observe = hide(job.Secrets), job.Observe
	return cell, nil
}

// next takes what is ready; nil if nothing is.
func (p *Pool) next() (*Cell, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errPoolClosed
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
	old := p.old()
	if old == len(p.ready) {
		p.state.Late++
		return nil, nil
	}
	cell := p.ready[old].cell
	p.ready = append(p.ready[:old:old], p.ready[old+1:]...) // the refill throws the old ones away
	p.state.Prepared++
	return cell, nil
}

// old counts the cells that waited too long.
func (p *Pool) old() int {
	n := 0
	for n < len(p.ready) && time.Since(p.ready[n].made) > poolAge {
		n++
	}
	return n
}

// State says how the pool does.
func (p *Pool) State() PoolState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.state
	s.Ready = len(p.ready) - p.old()
	return s
}

// refill makes cells until the context ends.
func (p *Pool) refill(ctx context.Context) {
	defer close(p.done)
	retry := poolRetry
	for ctx.Err() == nil {
		missing := p.throwOld() //nolint:contextcheck // tear-down outlives the context
		wait := poolAge / 4
		if missing > 0 {
			cell, err := p.make(ctx)
			p.keep(cell, err)
			if err == nil {
				retry = poolRetry
				continue
			}
			wait, retry = retry, min(2*retry, poolRetryMost)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-p.wake:
			timer.Reset(poolPause)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		case <-timer.C:
		}
		timer.Stop()
	}
}

// throwOld closes what waited too long and returns how many cells are missing.
func (p *Pool) throwOld() int {
	p.mu.Lock()
	n := p.old()
	old := p.ready[:n:n]
	p.ready = p.ready[n:]
	missing := p.size - len(p.ready)
	p.mu.Unlock()
	for _, o := range old {
		p.dropped(o.cell.Close())
	}
	return missing
}

func (p *Pool) dropped(err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, err)
}

func (p *Pool) keep(cell *Cell, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Err = err
	if err == nil {
		p.ready = append(p.ready, pooled{cell, time.Now()})
	}
}

func (p *Pool) make(ctx context.Context) (*Cell, error) {
	cell, err := p.x.OpenCell(ctx, p.kind)
	if err != nil {
		return nil, err
	}
	if err := cell.Prepare(ctx); err != nil {
		return nil, errors.Join(err, cell.Close()) //nolint:contextcheck // tear-down outlives the context
	}
	return cell, nil
}

// Close ends the pool and the cells that wait. Those that were taken are their
// jobs'.
func (p *Pool) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if closed {
		return nil
	}
	p.stop(errPoolClosed)
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.ready {
		p.errs = append(p.errs, r.cell.Close())
	}
	p.ready = nil
	return errors.Join(p.errs...)
}
