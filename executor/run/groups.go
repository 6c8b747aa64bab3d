// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zviz/run/executor/concurrency"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

var errOver = errors.New("it is over")

// groups are the concurrency groups that a run has among the runs of this machine. Which
// of its own jobs may have one the plan has decided before.
type groups struct {
	all        *concurrency.Groups // nil: those of other runs are not looked at
	repository string
	asked      chan asked // a newcomer asks for the end of what holds a group

	mu    sync.Mutex
	holds map[holdKey]*hold
	work  sync.WaitGroup
}

// asked is what is to end: a job, with all that it calls, or the run if there is no id.
type asked struct{ holder, reason string }

type holdKey struct{ group, holder string }

// hold is a group that the run has, or waits for. Jobs of a called workflow share those of
// the job that calls.
type hold struct {
	stop    context.CancelCauseFunc
	waiting chan struct{} // closed once it has to wait: then why says for what
	why     string
	done    chan struct{} // closed once there is a place, or an error
	place   *concurrency.Place
	err     error
}

func newGroups(q Request) *groups {
	return &groups{all: q.Groups, repository: q.Repository.identity(), asked: make(chan asked), holds: map[holdKey]*hold{}}
}

// identity is what makes a repository another one than those that other runs are of.
func (r Repository) identity() string {
	if strings.HasPrefix(r.Name, "local/") {
		return cmp.Or(r.Common, r.Dir) // two folders may have one name
	}
	return expr.Fold(r.Server + "/" + r.Name)
}

// needed says whether a job may have to wait for other runs.
func (g *groups) needed(list []plan.Group) bool { return g.all != nil && len(list) > 0 }

// enter waits for groups, those of the callers first. The error says why they are not had;
// one of the context's or of concurrency is not ours.
func (g *groups) enter(ctx context.Context, kill <-chan struct{}, list []plan.Group, waiting func(why string)) error {
	for _, want := range slices.Backward(list) {
		h := g.hold(ctx, want)
		said := h.waiting
		for had := false; !had; {
			select {
			case <-h.done:
				had = true
			case <-said:
				said = nil
				waiting(h.why)
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-kill:
				return errCancelled
			}
		}
		if h.err != nil {
			return h.err
		}
	}
	return nil
}

// hold asks for a group unless that was done.
func (g *groups) hold(ctx context.Context, want plan.Group) *hold {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := holdKey{expr.Fold(want.Name), want.Holder}
	if h := g.holds[key]; h != nil {
		return h
	}
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx)) // others may want it still
	h := &hold{stop: stop, waiting: make(chan struct{}), done: make(chan struct{})}
	g.holds[key] = h
	g.work.Go(func() { g.serve(ctx, h, want) })
	return h
}

// serve gets a group, and passes on who asks for it.
func (g *groups) serve(ctx context.Context, h *hold, want plan.Group) {
	w := concurrency.Want{Repository: g.repository, Group: want.Name, Cancel: want.Cancel, Queue: want.Queue}
	h.place, h.err = g.all.Enter(ctx, w, func(pid int) {
		h.why = fmt.Sprintf("for the concurrency group '%s', which another run has", want.Name)
		if pid > 0 {
			h.why += fmt.Sprintf(" (process %d)", pid)
		}
		close(h.waiting)
	})
	close(h.done)
	var reason error
	if h.err == nil {
		select {
		case <-h.place.Asked():
			reason = &concurrency.ReplacedError{Group: want.Name}
		case <-ctx.Done():
			return
		}
	} else if reason = h.err; !isRefused(reason) {
		return // whoever waits for it says what is wrong
	}
	select {
	case g.asked <- asked{want.Holder, reason.Error()}:
	case <-ctx.Done():
	}
}

// isRefused says whether a newcomer, or too many who wait, is why there is no group.
func isRefused(err error) bool {
	var replaced *concurrency.ReplacedError
	var full *concurrency.FullError
	return errors.As(err, &replaced) || errors.As(err, &full)
}

// release gives up the groups of those that have ended.
func (g *groups) release(over func(holder string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, h := range g.holds {
		if !over(key.holder) {
			continue
		}
		h.stop(errOver)
		<-h.done
		if h.place != nil {
			h.place.Leave()
		}
		delete(g.holds, key)
	}
}

// close gives up all.
func (g *groups) close() {
	g.release(func(string) bool { return true })
	g.work.Wait()
}
