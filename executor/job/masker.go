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

// masker hides the secrets of a job, more of which may come at any time.
type masker struct {
	mu     sync.Mutex
	values []string
	bytes  int
	sets   mask.Growing
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
		m.sets.Add(slices.Clone(m.values[known:])...)
		m.w = m.sets.NewWriter(&m.out)
	}
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
	return m.sets.NewWriter(w)
}

// writer masks one stream into a buffer, for lines that come in parts.
func (m *masker) writer(out *bytes.Buffer) *mask.Writer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sets.NewWriter(out)
}
