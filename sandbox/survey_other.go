// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package sandbox

import "os"

func readSmall(name string) ([]byte, error) { return os.ReadFile(name) }
