// SPDX-License-Identifier: Apache-2.0

package job

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/zviz/run/internal/mask"
)

// What a job may have hidden in all; what is more is refused, since it would take the
// runner's memory and time.
const (
	mostMasks    = 1000
	largestMasks = 256 << 10 // bytes
)

// maskSet is a set, and the values that it is made of.
type maskSet struct {
	*mask.Set
	values []string
	bytes  int
}

// masker hides the secrets of a job, more of which may come at any time.
type masker struct {
	mu     sync.Mutex
	values []string
	bytes  int
	sets   []maskSet // each of more bytes than those after it together, nearly
	out    bytes.Buffer
	w      *mask.Writer
}

func newMasker(values []string) *masker {
	m := &masker{}
	m.add(values...)
	return m
}

// addOf hides a value that a job names; false if it named too many.
func (m *masker) addOf(value string) bool {
	m.mu.Lock()
	full := len(m.values) >= mostMasks || m.bytes+len(value) > largestMasks
	if !full {
		m.bytes += len(value)
	}
	m.mu.Unlock()
	if !full {
		m.add(value)
	}
	return !full
}

// add hides values from now on.
func (m *masker) add(values ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := len(m.values)
	for _, v := range values {
		// A line break at the end is the shell's, not the secret's.
		for _, v := range []string{v, strings.TrimSpace(v)} {
			if v != "" && !slices.Contains(m.values, v) {
				m.values = append(m.values, v)
			}
		}
	}
	if m.w == nil || len(m.values) > known {
		m.grow(slices.Clone(m.values[known:]))
		m.w = m.newWriter(&m.out)
	}
}

// grow makes a set of new values, together with those of the sets that are no larger:
// so a value is part of a new set as often as the size doubles, and not each time that
// one more is named.
func (m *masker) grow(values []string) {
	size := 0
	for _, v := range values {
		size += len(v)
	}
	for n := len(m.sets); n > 0 && m.sets[n-1].bytes <= size; n-- {
		last := m.sets[n-1]
		values, size, m.sets = append(last.values, values...), last.bytes+size, m.sets[:n-1]
	}
	m.sets = append(m.sets, maskSet{mask.NewSet(values), values, size})
}

func (m *masker) newWriter(out io.Writer) *mask.Writer {
	sets := make([]*mask.Set, 0, len(m.sets))
	for _, s := range m.sets {
		sets = append(sets, s.Set)
	}
	return mask.NewWriter(out, sets...)
}

// text hides the secrets in a whole text.
func (m *masker) text(s string) string {
	if s == "" {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out.Reset()
	_, _ = m.w.Write([]byte(s)) // a Buffer does not fail
	_ = m.w.Flush()
	return m.out.String()
}

// holds reports whether a secret is in a text.
func (m *masker) holds(s string) bool { return m.text(s) != s }

// stream masks what is written to w.
func (m *masker) stream(w io.Writer) *mask.Writer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newWriter(w)
}

// writer masks one stream into a buffer, for lines that come in parts.
func (m *masker) writer(out *bytes.Buffer) *mask.Writer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newWriter(out)
}
