// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"sync"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// Pool is what the transports of all jobs share. It is safe for concurrent use.
type Pool struct {
	files *store.Store
	slots chan struct{} // requests to upstream
	desks chan struct{} // parsing and rewriting, which job code could keep us at

	mu      sync.Mutex
	flights map[string]*flight
	reading map[string]*reading
	known   map[string]registry.Package // by digest of the document
	weight  int                         // versions in known
	apt     aptLists
}

// New makes a pool over a store, which the caller closes after the last answer
// was read.
func New(files *store.Store) *Pool {
	return &Pool{
		files: files, slots: make(chan struct{}, flightsMost), desks: make(chan struct{}, 2), flights: map[string]*flight{}, reading: map[string]*reading{},
		known: map[string]registry.Package{},
	}
}

// slot waits for its turn to ask upstream.
func (p *Pool) slot(ctx context.Context) (give func(), err error) { return turn(ctx, p.slots) }

// desk waits for its turn to read or rewrite metadata. Who has one never waits
// for a job.
func (p *Pool) desk(ctx context.Context) (give func(), err error) { return turn(ctx, p.desks) }

func turn(ctx context.Context, of chan struct{}) (give func(), err error) {
	select {
	case of <- struct{}{}:
		return func() { <-of }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// reading is one fetch of metadata that several wait for. It ends when all of
// them have left.
type reading struct {
	done    chan struct{}
	err     error
	waiters int
	cancel  context.CancelCauseFunc
}

// once runs fetch for a key, unless it runs already, and waits for it.
func (p *Pool) once(ctx context.Context, key string, fetch func(context.Context) error) error {
	p.mu.Lock()
	r := p.reading[key]
	if r == nil {
		// Not ended by the job that asks first: others may wait.
		detached, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		r = &reading{done: make(chan struct{}), cancel: cancel}
		p.reading[key] = r
		go func() {
			r.err = fetch(detached)
			p.mu.Lock()
			if p.reading[key] == r {
				delete(p.reading, key)
			}
			p.mu.Unlock()
			close(r.done)
			cancel(nil)
		}()
	}
	r.waiters++
	p.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.waiters--; r.waiters == 0 {
		r.cancel(errLeft)
		if p.reading[key] == r {
			delete(p.reading, key) // nobody waits for what is being ended
		}
	}
	return context.Cause(ctx)
}

// knownMost bounds the versions of parsed metadata that are kept.
const knownMost = 60_000

// remember keeps parsed metadata for the next files of the package.
func (p *Pool) remember(key string, pkg registry.Package) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(pkg.Versions) > knownMost*2/3 {
		return
	}
	if p.weight += len(pkg.Versions) + 1; p.weight > knownMost {
		clear(p.known)
		p.weight = len(pkg.Versions) + 1
	}
	p.known[key] = pkg
}

func (p *Pool) recall(key string) (registry.Package, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pkg, ok := p.known[key]
	return pkg, ok
}
