// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"time"

	"github.com/zviz/run/workflows"
)

// mostBackground is how many steps run in the background at a time; more wait.
const mostBackground = 10

// background is a step that runs beside the others. What it sets counts from when
// it is waited for.
type background struct {
	st     *stepRun
	cancel context.CancelCauseFunc
	done   chan struct{}
}

// inBackground starts a step beside those that follow. Its condition is evaluated
// now.
func (r *runner) inBackground(ctx context.Context, st *stepRun) {
	st.deferred = true
	ctx, cancel := context.WithCancelCause(ctx)
	b := &background{st: st, cancel: cancel, done: make(chan struct{})}
	r.mu.Lock()
	st.sc.waiting = append(st.sc.waiting, b)
	r.mu.Unlock()
	if !st.ready() {
		close(b.done)
		return
	}
	go func() {
		defer close(b.done)
		st.finish(st.guard(ctx, func(ctx context.Context) Conclusion {
			select {
			case r.slots <- struct{}{}:
			case <-ctx.Done():
				return Cancelled
			}
			defer func() { <-r.slots }()
			return st.main(ctx)
		}))
	}()
}

// waitFor waits for the steps that are meant, in the order in which they began, and
// makes what they set the job's.
func (r *runner) waitFor(sc *scope, meant func(*background) bool) {
	r.mu.Lock()
	var wait, left []*background
	for _, b := range sc.waiting {
		if meant(b) {
			wait = append(wait, b)
		} else {
			left = append(left, b)
		}
	}
	sc.waiting = left
	r.mu.Unlock()
	for _, b := range wait {
		<-b.done
		b.cancel(nil)
		b.st.apply()
	}
}

// waitAll waits for every step in the background.
func (r *runner) waitAll(sc *scope) {
	r.waitFor(sc, func(*background) bool { return true })
}

// backgroundStep does a step that waits, cancels, or runs several at a time.
func (r *runner) backgroundStep(ctx context.Context, s *workflows.Step, sc *scope) {
	st := r.newStep(s, sc, phaseMain)
	st.started = time.Now()
	st.name = st.defaultName()
	st.begin()
	switch s.Kind {
	case workflows.WaitStep:
		ids := map[string]bool{}
		for _, t := range s.Wait {
			ids[t.Text] = true
		}
		r.waitFor(sc, func(b *background) bool { return ids[b.st.s.ID] })
	case workflows.WaitAllStep:
		r.waitAll(sc)
	case workflows.CancelStep:
		is := func(b *background) bool { return b.st.s.ID == s.Cancel.Text }
		r.mu.Lock()
		for _, b := range sc.waiting {
			if is(b) {
				b.cancel(errCancelled)
			}
		}
		r.mu.Unlock()
		r.waitFor(sc, is)
	case workflows.ParallelStep:
		own := map[*workflows.Step]bool{}
		for _, p := range s.Parallel {
			own[p] = true
			one := r.newStep(p, sc, phaseMain)
			r.inBackground(ctx, one)
		}
		r.waitFor(sc, func(b *background) bool { return own[b.st.s] })
	case workflows.RunStep, workflows.UsesStep:
	}
	st.finish(Success)
}
