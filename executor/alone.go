// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"slices"
	"sync"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// alone is a network with nothing but its loopback. The runner makes it and not the
// job's first process, which would have to wait for the kernel to make it, and its
// end for the kernel to take it apart.
type alone struct {
	open func() (*egress.Loopback, error)
	used bool
}

// beginNetwork starts to make the network of a job that has one, which is not certain if
// it may go without.
func beginNetwork(p Policy) *egress.Ahead {
	if p.NoNetwork || slices.Contains(p.AllowMissing, sandbox.LayerNet) {
		return nil
	}
	return egress.Begin()
}

// beginAlone starts to make one if the request wants it.
func beginAlone(r Request) *alone {
	a := &alone{open: sync.OnceValues(egress.OpenLoopback)}
	if !r.Policy.NoNetwork {
		a.open = nil
		return a
	}
	go func() { _, _ = a.open() }()
	return a
}

// join gives the network to a cell.
func (a *alone) join(c *cell) (err error) {
	a.used = true
	if c.loopback, err = a.open(); err != nil {
		return &sandbox.LayerError{Layer: sandbox.LayerNet, Stage: "network", Err: err}
	}
	c.spec.NetNS = c.loopback.Path()
	return nil
}

// close gives up what no cell has.
func (a *alone) close() {
	if a.used || a.open == nil {
		return
	}
	if l, err := a.open(); err == nil {
		_ = l.Close()
	}
}
