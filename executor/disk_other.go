// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package executor

import "context"

// watchDisk needs Linux, as everything that a job could fill a disk with.
func watchDisk(<-chan struct{}, context.CancelCauseFunc, ...string) {}
