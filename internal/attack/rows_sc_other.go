// SPDX-License-Identifier: Apache-2.0

//go:build linux && !amd64

package attack

func x86Rows() []Attempt { return nil }
