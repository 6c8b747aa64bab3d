// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package ui

import (
	"errors"
	"io"
	"os"
)

// Keys needs Linux.
type Keys struct{}

// NewKeys needs Linux.
func NewKeys(*os.File) (*Keys, error) { return nil, errors.New("keys of a terminal need Linux") }

func (*Keys) Read([]byte) (int, error) { return 0, io.EOF }

// Close does nothing.
func (*Keys) Close() {}
