// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"io"
	"reflect"
	"sync"
)

// Serialize returns out and errOut as they are, or, if they are the same writer,
// one in their place that is safe for concurrent use: as with os/exec, a caller
// may give one buffer for both streams.
func Serialize(out, errOut io.Writer) (o, e io.Writer) {
	if out == nil || errOut == nil || !reflect.TypeOf(out).Comparable() || out != errOut {
		return out, errOut
	}
	if _, ok := out.(*serialized); ok {
		return out, errOut
	}
	s := &serialized{w: out}
	return s, s
}

// serialized lets one of two writes to the same writer wait for the other.
type serialized struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *serialized) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}
