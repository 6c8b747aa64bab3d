// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"io"

	"github.com/zviz/run/executor/mask"
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

func (ms masks) flush() error {
	var errs []error
	for _, m := range ms {
		errs = append(errs, m.Flush())
	}
	return errors.Join(errs...)
}
