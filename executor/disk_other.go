// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package executor

import "context"

// diskWatch needs Linux, as everything that a job could fill a disk with.
type diskWatch struct{}

func newDiskWatch(...string) diskWatch { return diskWatch{} }

func (diskWatch) run(<-chan struct{}, context.CancelCauseFunc) {}
