// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/internal/mask"
	"github.com/zviz/run/sandbox"
)

// hidden are the secrets of a job, made ready to be looked for when the first text
// comes: that takes 2 ms for fifty of them. nil hides nothing.
type hidden struct {
	mu      sync.Mutex
	sets    mask.Growing
	waiting []string // not yet among sets
	any     bool
}

// hide returns what hides secrets, and those that come later.
func hide(secrets []string) *hidden {
	return &hidden{waiting: slices.Clone(secrets), any: len(secrets) > 0}
}

// add hides more values from now on.
func (h *hidden) add(values ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting, h.any = append(h.waiting, values...), h.any || len(values) > 0
}

// writer hides all that is known so far in what goes to w; nil if that is nothing.
func (h *hidden) writer(w io.Writer) *mask.Writer {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.any {
		return nil
	}
	h.sets.Add(h.waiting...)
	h.waiting = nil
	return h.sets.NewWriter(w)
}

// masks are the writers between a command and its caller; empty if there is
// nothing to hide.
type masks []*mask.Writer

// streams puts a masker before the command's output.
func (h *hidden) streams(cmd *sandbox.Cmd) masks {
	var ms masks
	for _, w := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		if *w == nil {
			continue
		}
		if m := h.writer(*w); m != nil {
			*w = m
			ms = append(ms, m)
		}
	}
	return ms
}

// text hides the secrets in a short text.
func (h *hidden) text(s string) string {
	if s == "" {
		return s
	}
	var b strings.Builder
	m := h.writer(&b)
	if m == nil {
		return s
	}
	_, _ = io.WriteString(m, s) // a Builder does not fail
	_ = m.Flush()
	return b.String()
}

// event hides the secrets in what a job chose: names, paths, arguments.
func (h *hidden) event(e egress.Event) egress.Event {
	if h == nil {
		return e
	}
	for _, s := range []*string{&e.Host, &e.Path, &e.Hint, &e.Argv0, &e.Exe, &e.Pkg, &e.Script, &e.Method} {
		*s = h.text(*s)
	}
	e.Chain, e.Redacted = h.all(e.Chain), h.all(e.Redacted)
	if e.Fetched != nil {
		p := *e.Fetched // it may be read by who found it out
		p.Name, p.Version = h.text(p.Name), h.text(p.Version)
		e.Fetched = &p
	}
	return e
}

func (h *hidden) all(list []string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = h.text(out[i])
	}
	return out
}

func (ms masks) flush() error {
	var errs []error
	for _, m := range ms {
		errs = append(errs, m.Flush())
	}
	return errors.Join(errs...)
}
