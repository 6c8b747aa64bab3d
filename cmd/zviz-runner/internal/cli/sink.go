// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/zviz/run/sandbox"
)

// sink is where a stream of a command goes. A command that writes into our pipe does not
// learn that the disk behind us is full, so that we have to remember it.
type sink struct {
	w    io.Writer
	name string

	mu  sync.Mutex
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err == nil {
			s.err = err
		}
	}
	return n, err
}

// lost is the error of a stream of which something is missing; nil if none is. A reader
// that went away wants no more.
func (s *sink) lost() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return unwritable(s.name, s.err)
}

// unwritable is the error for output that is lost; nil without one, and where nobody reads
// any more.
func unwritable(what string, err error) error {
	if err == nil || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return failure{Code: "output.unwritable", What: what + " cannot be written: " + cause(err).Error(), Fix: sandbox.ShortageHint(err), Exit: exitOurs, err: err}
}
