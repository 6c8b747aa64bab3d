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
type hidden struct{ set func() *mask.Set }

// hide returns what hides secrets; nil if there are none.
func hide(secrets []string) *hidden {
	if len(secrets) == 0 {
		return nil
	}
	return &hidden{sync.OnceValue(func() *mask.Set { return mask.NewSet(secrets) })}
}

// masks are the writers between a command and its caller; empty if there is
// nothing to hide.
type masks []*mask.Writer

// streams puts a masker before the command's output.
func (h *hidden) streams(cmd *sandbox.Cmd) masks {
	if h == nil {
		return nil
	}
	var ms masks
	for _, w := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		if *w == nil {
			continue
		}
		m := h.set().NewWriter(*w)
		*w = m
		ms = append(ms, m)
	}
	return ms
}

// text hides the secrets in a short text.
func (h *hidden) text(s string) string {
	if h == nil || s == "" {
		return s
	}
	var b strings.Builder
	m := h.set().NewWriter(&b)
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
