// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"sync"
)

// Ahead is the pair of namespaces of a network, made while its policy is still being
// found out. Config takes it.
type Ahead struct {
	once   sync.Once
	listen chan func(c *cell, index int) error
	made   chan struct{} // closed when the two that follow are there
	cell   *cell
	err    error
}

var errGivenUp = errors.New("the network was given up")

// Begin starts to make one. Close gives it up, if no Open took it.
func Begin() *Ahead {
	a := &Ahead{listen: make(chan func(*cell, int) error, 1), made: make(chan struct{})}
	go func() {
		defer close(a.made)
		a.cell, a.err = openCell(func(c *cell, index int) error {
			listen, ok := <-a.listen
			if !ok {
				return errGivenUp
			}
			return listen(c, index)
		})
	}()
	return a
}

// open says what to listen on, and waits for the whole.
func (a *Ahead) open(listen func(c *cell, index int) error) (c *cell, err error) {
	err = errGivenUp
	a.once.Do(func() {
		a.listen <- listen
		<-a.made
		c, err = a.cell, a.err
	})
	return c, err
}

// Close gives up what no Open took. It may be called at any time, on nil too.
func (a *Ahead) Close() {
	if a == nil {
		return
	}
	a.once.Do(func() {
		close(a.listen)
		<-a.made
	})
}
