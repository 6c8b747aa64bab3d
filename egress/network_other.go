// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package egress

import (
	"context"
	"errors"
	"net"
)

// Network is the network of one job.
type Network struct{}

// Open fails: a job's network needs Linux.
func Open(context.Context, Config) (*Network, error) {
	return nil, errors.New("the network of a job needs Linux")
}

// Path returns nothing.
func (*Network) Path() string { return "" }

// Files returns nothing.
func (*Network) Files() JobFiles { return JobFiles{} }

// Begin fails.
func (*Network) Begin(string, StepName) error {
	return errors.New("the network of a job needs Linux")
}

// SetStep fails.
func (*Network) SetStep(string, Policy) error {
	return errors.New("the network of a job needs Linux")
}

// ServiceURL returns nothing.
func (*Network) ServiceURL(string) string { return "" }

// Served returns nothing.
func (*Network) Served() map[string]int64 { return nil }

// Complete returns false.
func (*Network) Complete() bool { return false }

// Close does nothing.
func (*Network) Close() error { return nil }

// Ahead is nothing.
type Ahead struct{}

// Begin begins nothing.
func Begin() *Ahead { return nil }

// Close does nothing.
func (*Ahead) Close() {}

// Loopback is a network namespace with nothing but its loopback.
type Loopback struct{}

// OpenLoopback fails.
func OpenLoopback() (*Loopback, error) { return nil, errors.New("a job's network needs Linux") }

// Path returns nothing.
func (*Loopback) Path() string { return "" }

// Close does nothing.
func (*Loopback) Close() error { return nil }

func hungUp(*net.TCPConn) bool { return false }
