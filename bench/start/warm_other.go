// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
	"time"
)

func compareWarm(context.Context, string, int, time.Duration, io.Writer) error {
	return errors.New("sandboxes need Linux")
}
