// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package executor

import (
	"context"
	"io/fs"

	"github.com/zviz/run/sandbox"
)

// writable needs Linux.
func writable([]sandbox.Mount) ([]place, error) { return nil, nil }

func newLeftovers(ctx context.Context, since int64) *leftovers {
	return &leftovers{broken: ctx.Done(), since: since}
}

// settle needs Linux; nothing has run.
func (l *leftovers) settle(string, []place, []string) {}

func changeTime(fs.FileInfo) int64 { return 0 }
