// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// ending is a context that ends right after it was first asked whether it has.
type ending struct {
	context.Context
	once sync.Once
	end  func()
}

func (e *ending) Err() error {
	err := e.Context.Err()
	e.once.Do(func() {
		e.end()
		time.Sleep(50 * time.Millisecond) // what hears of it does its work, if it can
	})
	return err
}

// Who waits for more of a file hears of the end of the request, also if that comes
// between the look at it and the waiting.
func TestWaitersGiveUp(t *testing.T) {
	gone := errors.New("gone")
	for name, wait := range map[string]func(f *flight, ctx context.Context) error{
		"reader": func(f *flight, ctx context.Context) error {
			w := f.follow(ctx)
			_, err := w.Read(make([]byte, 1))
			return err
		},
		"waiter": (*flight).wait,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			f := &flight{}
			f.moved.L = &f.mu
			given := make(chan error, 1)
			go func() { given <- wait(f, &ending{Context: ctx, end: func() { cancel(gone) }}) }() //nolint:contextcheck // it is made of the test's
			select {
			case err := <-given:
				if !errors.Is(err, gone) {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Error("it still waits")
			}
		})
	}
}
