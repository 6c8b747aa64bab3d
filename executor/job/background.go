// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"

	"github.com/zviz/run/workflows"
)

// background is a step that runs beside the others.
type background struct {
	st *stepRun
}

func (r *runner) background(ctx context.Context, st *stepRun) { st.run(ctx) }

func (r *runner) backgroundStep(context.Context, *workflows.Step, *scope) {}
