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
	mu     sync.Mutex
	values []string
	ready  *mask.Set // of values; nil after one came
}

// hide returns what hides secrets, and those that come later.
func hide(secrets []string) *hidden { return &hidden{values: slices.Clone(secrets)} }

// add hides more values from now on.
func (h *hidden) add(values ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values, h.ready = append(h.values, values...), nil
}

// set is what hides; nil if there is nothing to hide.
func (h *hidden) set() *mask.Set {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ready == nil && len(h.values) > 0 {
		h.ready = mask.NewSet(h.values)
	}
	return h.ready
}

// masks are the writers between a command and its caller; empty if there is
// nothing to hide.
type masks []*mask.Writer

// streams puts a masker before the command's output.
func (h *hidden) streams(cmd *sandbox.Cmd) masks {
	set := h.set()
	if set == nil {
		return nil
	}
	var ms masks
	for _, w := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		if *w == nil {
			continue
		}
		m := set.NewWriter(*w)
		*w = m
		ms = append(ms, m)
	}
	return ms
}

// text hides the secrets in a short text.
func (h *hidden) text(s string) string {
	if s == "" {
		return s
	}
	set := h.set()
	if set == nil {
		return s
	}
	var b strings.Builder
	m := set.NewWriter(&b)
	_, _ = io.WriteString(m, s) // a Builder does not fail
	_ = m.Flush()
	return b.String()
}

// event hides the secrets in what a job chose: names, paths, arguments.
func (h *hidden) event(e egress.Event) egress.Event {
	if h.set() == nil {
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
