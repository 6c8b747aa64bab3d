// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package cli

func leaveDescriptorOpen() (undo func() error, err error) { return func() error { return nil }, nil }
