// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package ui

import (
	"errors"
	"io"
	"os"
)

// AskSecret needs Linux.
func AskSecret(*os.File, io.Writer, string) (string, error) {
	return "", errors.New("needs Linux")
}
