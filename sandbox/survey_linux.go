// SPDX-License-Identifier: Apache-2.0

package sandbox

import "github.com/zviz/run/internal/linux"

func readSmall(name string) ([]byte, error) { return linux.ReadFile(name, copyLimit) }
