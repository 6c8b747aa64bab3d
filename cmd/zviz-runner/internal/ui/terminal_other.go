// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package ui

import (
	"errors"
	"os"
)

// IsTerminal is not known on this system: plain text is right everywhere.
func IsTerminal(*os.File) bool { return false }

// Size is not known on this system.
func Size(*os.File) (rows, cols uint16) { return 0, 0 }

// InBackground is not known on this system.
func InBackground(*os.File) bool { return false }

// MakeRaw needs Linux.
func MakeRaw(*os.File) (restore func(), err error) {
	return nil, errors.New("raw mode needs Linux")
}

// FlushInput needs Linux.
func FlushInput(*os.File) {}
