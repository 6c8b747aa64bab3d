// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/internal/mask"
	"github.com/zviz/run/sandbox"
)

// masks are the writers between a command and its caller; empty if there is
// nothing to hide.
type masks []*mask.Writer

// maskStreams puts a masker before the command's output.
func maskStreams(cmd *sandbox.Cmd, secrets []string) masks {
	if len(secrets) == 0 {
		return nil
	}
	var ms masks
	for _, w := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		if *w == nil {
			continue
		}
		m := mask.New(*w, secrets)
		*w = m
		ms = append(ms, m)
	}
	return ms
}

// maskText hides the secrets in a short text.
func maskText(s string, secrets []string) string {
	if len(secrets) == 0 || s == "" {
		return s
	}
	var b strings.Builder
	m := mask.New(&b, secrets)
	_, _ = io.WriteString(m, s) // a Builder does not fail
	_ = m.Flush()
	return b.String()
}

// maskEvent hides the secrets in what a job chose: names, paths, arguments.
func maskEvent(e egress.Event, secrets []string) egress.Event {
	if len(secrets) == 0 {
		return e
	}
	for _, s := range []*string{&e.Host, &e.Path, &e.Hint, &e.Argv0, &e.Exe, &e.Pkg, &e.Script, &e.Method} {
		*s = maskText(*s, secrets)
	}
	e.Chain, e.Redacted = maskAll(e.Chain, secrets), maskAll(e.Redacted, secrets)
	return e
}

func maskAll(list, secrets []string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = maskText(out[i], secrets)
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
