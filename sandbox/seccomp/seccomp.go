// SPDX-License-Identifier: Apache-2.0

// Package seccomp is being written.
package seccomp

// Profile is a system-call policy as data.
type Profile struct{ Name string }
