// SPDX-License-Identifier: Apache-2.0

package concurrency

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/zviz/run/workflows/expr"
)

const (
	lookEvery = 200 * time.Millisecond // how soon an end or an ask is seen
	leaveTime = 2 * time.Second        // for the gate, of one who leaves
	// mostWaiting is how many wait in a group with queue: max (GitHub's changelog of
	// 2026-05-07).
	mostWaiting = 100
)

// Want is a group that somebody wants.
type Want struct {
	Repository string // whose group it is: groups of two repositories are two
	Group      string // its name; case does not matter
	Cancel     bool   // the one that has it is asked to end
	Queue      bool   // nobody that waits is driven out
}

func (w Want) folded() string { return expr.Fold(w.Group) }

// ReplacedError says that a newcomer took the place of one that waited, or asked the one
// that had the group to end.
type ReplacedError struct{ Group string }

func (e *ReplacedError) Error() string {
	return fmt.Sprintf("Canceling since a higher priority waiting request for '%s' exists", e.Group) // GitHub's words
}

// FullError says that as many wait as may.
type FullError struct{ Group string }

func (e *FullError) Error() string {
	return fmt.Sprintf("%d jobs wait for the concurrency group '%s' already", mostWaiting, e.Group)
}

// Place is the place of one that has a group.
type Place struct {
	g     *Groups
	dir   string
	n     uint64
	f     *os.File
	asked chan struct{}
	left  chan struct{}
	once  sync.Once
	watch sync.WaitGroup
}

// Enter waits until it has the group. If it has to wait, waiting is called once with the
// process that has it, 0 if that is not known; it may be nil. The error is a
// *ReplacedError, a *FullError, the cause of the context's end, or one of the files.
func (g *Groups) Enter(ctx context.Context, w Want, waiting func(pid int)) (*Place, error) {
	p := &Place{g: g, dir: g.folder(w), asked: make(chan struct{}), left: make(chan struct{})}
	first, err := p.queue(ctx, w)
	if err != nil {
		return nil, err
	}
	if !first {
		if err := p.wait(ctx, w, waiting); err != nil {
			p.Leave() //nolint:contextcheck // it leaves whatever became of the context
			return nil, err
		}
	}
	p.watch.Go(p.listen)
	return p, nil
}

// queue gets a number, and asks those to end whose place it takes.
func (p *Place) queue(ctx context.Context, w Want) (first bool, err error) {
	open, err := p.g.gate(ctx)
	if err != nil {
		return false, err
	}
	defer open()
	p.g.sweep()
	others, err := members(p.dir)
	if err != nil {
		return false, err
	}
	if w.Queue && len(others) > mostWaiting {
		return false, &FullError{w.Group}
	}
	if err := os.Mkdir(p.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	if p.n = 1; len(others) > 0 {
		p.n = others[len(others)-1] + 1
	}
	f, ok := tryLock(fileOf(p.dir, p.n), os.O_CREATE|os.O_EXCL)
	if !ok {
		return false, fmt.Errorf("concurrency group '%s': cannot lock %s", w.Group, fileOf(p.dir, p.n))
	}
	p.f = f
	if _, err := f.WriteString(strconv.Itoa(os.Getpid())); err != nil {
		remove(p.dir, p.n)
		return false, errors.Join(err, f.Close())
	}
	for i, n := range others {
		if i == 0 && w.Cancel || i > 0 && !w.Queue {
			if err := ask(p.dir, n); err != nil {
				remove(p.dir, p.n)
				return false, errors.Join(err, f.Close())
			}
		}
	}
	return len(others) == 0, nil
}

func ask(dir string, n uint64) error {
	return os.WriteFile(fileOf(dir, n)+askSuffix, nil, 0o600)
}

// wait waits for the end of all that came before.
func (p *Place) wait(ctx context.Context, w Want, waiting func(pid int)) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		holder, mine, err := p.look(ctx)
		switch {
		case err != nil:
			return err
		case mine:
			return nil
		case p.isAsked():
			return &ReplacedError{w.Group}
		case waiting != nil:
			waiting(holder)
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// look says whether the group is ours, else who has it.
func (p *Place) look(ctx context.Context) (pid int, mine bool, err error) {
	open, err := p.g.gate(ctx)
	if err != nil {
		return 0, false, err
	}
	defer open()
	list, err := members(p.dir)
	if err != nil {
		return 0, false, err
	}
	if !slices.Contains(list, p.n) {
		return 0, false, fmt.Errorf("somebody removed %s", fileOf(p.dir, p.n))
	}
	return holderOf(p.dir, list[0]), list[0] == p.n, nil
}

func (p *Place) isAsked() bool {
	_, err := os.Lstat(fileOf(p.dir, p.n) + askSuffix)
	return err == nil
}

// listen waits for an ask to end.
func (p *Place) listen() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if p.isAsked() {
			close(p.asked)
			return
		}
		select {
		case <-p.left:
			return
		case <-tick.C:
		}
	}
}

// Asked is closed when a newcomer asks the one that has the group to end. It keeps the
// group until it leaves.
func (p *Place) Asked() <-chan struct{} { return p.asked }

// Leave gives the group up. It may be called more than once.
func (p *Place) Leave() {
	p.once.Do(func() {
		close(p.left)
		p.watch.Wait()
		ctx, cancel := context.WithTimeoutCause(context.Background(), leaveTime, errors.New("the gate is held"))
		defer cancel()
		if open, err := p.g.gate(ctx); err == nil {
			defer open()
			remove(p.dir, p.n)
			_ = os.Remove(p.dir) // it stays while somebody is in it
		}
		unlock(p.f) // what is left in the folder counts for nothing without it
	})
}
