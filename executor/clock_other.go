// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package executor

// uptime needs Linux.
func uptime() int64 { return 0 }
