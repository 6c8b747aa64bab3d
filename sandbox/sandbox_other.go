// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
)

var errLinux = errors.New("sandboxes need Linux") //nolint:gochecknoglobals // a constant

// Measure asks this machine what it offers: nothing.
func Measure() (Probe, error) { return Probe{}, errLinux }

// AsUser fails.
func AsUser([]string, []string) error { return errLinux }

// MachineRoot says no.
func MachineRoot() bool { return false }

// Sandbox is one place to run a command in.
type Sandbox struct{}

// New fails.
func New(Spec, Probe) (*Sandbox, error) { return nil, errLinux }

// Processes returns nothing.
func (*Sandbox) Processes() []int { return nil }

// Close does nothing.
func (*Sandbox) Close() error { return nil }

// Start fails.
func (*Sandbox) Start(context.Context, *Cmd) (*Process, error) { return nil, errLinux }

// Layered is a directory with another one below it.
type Layered struct{}

// NewLayered fails.
func NewLayered(LayerSpec) (*Layered, error) { return nil, errLinux }

// Mount returns nothing.
func (*Layered) Mount(string) Mount { return Mount{} }

// Close does nothing.
func (*Layered) Close() error { return nil }

// SharedRoot is the root of a job.
type SharedRoot struct{}

// NewSharedRoot fails.
func NewSharedRoot(Spec, Probe) (*SharedRoot, error) { return nil, errLinux }

// Root returns nothing.
func (*SharedRoot) Root() Root { return Root{} }

// Stat fails.
func (*SharedRoot) Stat(string) (fs.FileInfo, error) { return nil, errLinux }

// Close does nothing.
func (*SharedRoot) Close() error { return nil }

// StatInside fails.
func StatInside(string, string) (fs.FileInfo, error) { return nil, errLinux }

// MakeShared fails.
func MakeShared(Spec) error { return errLinux }

// Process is a running command.
type Process struct{ Layers []LayerReport }

// Wait fails.
func (*Process) Wait() (Result, error) { return Result{}, errLinux }

// Signal fails.
func (*Process) Signal(syscall.Signal) error { return errLinux }

// Resize fails.
func (*Process) Resize(TTY) error { return errLinux }
