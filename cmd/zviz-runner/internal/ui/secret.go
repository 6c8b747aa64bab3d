// SPDX-License-Identifier: Apache-2.0

package ui

import "syscall"

// InterruptedError says that a signal came instead of an answer.
type InterruptedError struct{ Signal syscall.Signal }

func (e *InterruptedError) Error() string { return "interrupted" }
