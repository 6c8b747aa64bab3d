// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
)

var errNotYet = errors.New("not built yet")

func discoverNPM(context.Context, Runner) (Preset, error)    { return Preset{}, errNotYet }
func discoverGo(context.Context, Runner) (Preset, error)     { return Preset{}, errNotYet }
func discoverDebian(context.Context, Runner) (Preset, error) { return Preset{}, errNotYet }
func discoverPyPI(context.Context, Runner) (Preset, error)   { return Preset{}, errNotYet }
