// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package attack

import (
	"errors"
	"time"
)

// Outcome is the one line that an attempt ends in.
type Outcome string

// Run needs Linux.
func Run(Attempt, []string) Outcome { return "BROKEN needs Linux" }

func namespaces() []Attempt { return nil }
func kernel() []Attempt     { return nil }
func files() []Attempt      { return nil }
func network() []Attempt    { return nil }
func processes() []Attempt  { return nil }
func needed() []Attempt     { return nil }

func namespaceRows() []Attempt  { return nil }
func capabilityRows() []Attempt { return nil }
func seccompRows() []Attempt    { return nil }
func fileRows() []Attempt       { return nil }
func workspaceRows() []Attempt  { return nil }
func processRows() []Attempt    { return nil }
func rootRows() []Attempt       { return nil }
func policed() []Attempt        { return nil }
func resources() []Attempt      { return nil }
func protocol() []Attempt       { return nil }

// Outside needs Linux.
func Outside() (func(), error) { return nil, errors.New("needs Linux") }

// Serve needs Linux.
func Serve(string) error { return errors.New("needs Linux") }

// Swap needs Linux.
func Swap(string, string) error { return errors.New("needs Linux") }

// Bury needs Linux.
func Bury(string, int) error { return errors.New("needs Linux") }

// WallOffset needs Linux.
func WallOffset() (time.Duration, error) { return 0, errors.New("needs Linux") }
