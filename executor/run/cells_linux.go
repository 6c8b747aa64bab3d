// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"

	"github.com/zviz/run/executor"
)

// CellsOf opens cells by an executor.
func CellsOf(x *executor.Executor) Cells { return cells{x} }

type cells struct{ x *executor.Executor }

func (c cells) OpenCell(ctx context.Context, r executor.CellRequest) (Cell, error) {
	cell, err := c.x.OpenCell(ctx, r)
	if err != nil {
		return nil, err
	}
	return cell, nil
}
