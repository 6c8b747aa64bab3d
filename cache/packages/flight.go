// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/zviz/run/cache/store"
)

// tailHeld is how much of a file is held back until its digest was compared,
// bytes. A file that is not longer is not sent at all before.
const tailHeld = 32 << 10

// flight is one fetch of a file that any number of answers follow while it runs.
// It ends when all of them have left, or with the file in the store.
type flight struct {
	key    string
	cancel context.CancelCauseFunc
	start  chan struct{} // closed when the head of the answer is known, or the end

	mu      sync.Mutex
	moved   sync.Cond
	temp    *store.Temp
	size    int64 // -1: not known
	header  http.Header
	written int64
	ended   bool
	err     error
	found   bool         // another process had put it into the store meanwhile
	record  store.Record // once it is stored
	unkept  error        // verified, but not stored
	readers int
}

var errLeft = errors.New("all who waited have left")

// join returns the flight of a key and counts the caller in; start is called
// with one that is new.
func (p *Pool) join(ctx context.Context, key string, fetch func(ctx context.Context, f *flight) error) *flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flights[key]; f != nil && f.enter() {
		return f
	}
	// Not ended by the job that asks first: others may follow.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f := &flight{key: key, cancel: cancel, start: make(chan struct{}), size: -1, readers: 1}
	f.moved.L = &f.mu
	p.flights[key] = f
	go func() {
		err := fetch(ctx, f)
		p.mu.Lock()
		if p.flights[key] == f {
			delete(p.flights, key)
		}
		p.mu.Unlock()
		f.end(err)
		cancel(nil)
	}()
	return f
}

// enter counts a reader in, unless the flight has been given up.
func (f *flight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers == 0 || f.ended && f.err != nil {
		return false
	}
	f.readers++
	return true
}

// leave counts a reader out. The last one ends the fetch.
func (f *flight) leave() {
	f.mu.Lock()
	f.readers--
	last := f.readers == 0
	discard := last && f.ended
	f.mu.Unlock()
	if last {
		f.cancel(errLeft)
	}
	if discard && f.temp != nil {
		f.temp.Discard()
	}
}

// begin tells the readers what comes.
func (f *flight) begin(temp *store.Temp, size int64, header http.Header) {
	f.mu.Lock()
	f.temp, f.size, f.header = temp, size, header
	f.mu.Unlock()
	close(f.start)
}

// end tells the readers that nothing more comes.
func (f *flight) end(err error) {
	f.mu.Lock()
	f.ended, f.err = true, err
	discard := f.readers == 0 && f.temp != nil
	f.mu.Unlock()
	f.moved.Broadcast()
	select {
	case <-f.start:
	default:
		close(f.start)
	}
	if discard {
		f.temp.Discard()
	}
}

// stallMost is how long an upstream may be silent in the middle of a file.
const stallMost = time.Minute

// copy writes what comes into the temporary file, and wakes the readers. It goes
// on at the pace of upstream, whatever the pace of the readers.
func (f *flight) copy(r io.Reader) error {
	stall := time.AfterFunc(stallMost, func() { f.cancel(errors.New("the registry sent nothing for a minute")) })
	defer stall.Stop()
	b := make([]byte, 64<<10)
	for {
		n, err := r.Read(b)
		stall.Reset(stallMost)
		if n > 0 {
			if _, err := f.temp.Write(b[:n]); err != nil {
				return err
			}
			f.mu.Lock()
			f.written += int64(n)
			over := f.written > fileMost
			f.mu.Unlock()
			f.moved.Broadcast()
			if over {
				return fmt.Errorf("file is larger than %d bytes", int64(fileMost))
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// wake makes all who wait look again. It needs the lock: who has looked and does not wait
// yet would not hear of it.
func (f *flight) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moved.Broadcast()
}

// wait returns when the flight has ended.
func (f *flight) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, f.wake)
	defer stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ended {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f.moved.Wait()
	}
	return f.err
}

// follower reads a flight's file as it grows.
type follower struct {
	f    *flight
	ctx  context.Context //nolint:containedctx // that of the request which the body belongs to
	stop func() bool
	off  int64
	once sync.Once
}

func (f *flight) follow(ctx context.Context) *follower {
	return &follower{f: f, ctx: ctx, stop: context.AfterFunc(ctx, f.wake)}
}

func (w *follower) Read(p []byte) (int, error) {
	f := w.f
	f.mu.Lock()
	for {
		ready := f.written - w.off
		if !f.ended {
			ready -= tailHeld
		}
		switch {
		case f.ended && f.err != nil:
			f.mu.Unlock()
			return 0, f.err
		case f.ended && ready <= 0:
			// Before the look at the context: a client that has all it was promised may
			// hang up before we are asked for the end.
			f.mu.Unlock()
			return 0, io.EOF
		case w.ctx.Err() != nil:
			f.mu.Unlock()
			return 0, context.Cause(w.ctx)
		case ready > 0:
			f.mu.Unlock()
			n, err := f.temp.ReadAt(p[:min(int64(len(p)), ready)], w.off)
			w.off += int64(n)
			if errors.Is(err, io.EOF) && n > 0 {
				err = nil
			}
			return n, err
		}
		f.moved.Wait()
	}
}

func (w *follower) Close() error {
	w.once.Do(func() {
		w.stop()
		w.f.leave()
	})
	return nil
}
