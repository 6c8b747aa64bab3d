// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"context"
	"io/fs"
	"path"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows/action"
)

// workspaceActions are those of the workspace, and a checkout that does nothing.
type workspaceActions struct{}

func (workspaceActions) Load(ctx context.Context, uses string, workspace fs.FS) (*job.Action, error) {
	u, err := action.ParseUses(uses)
	if err != nil {
		return nil, err
	}
	if u.Kind != action.Local {
		return noCheckout{}.Load(ctx, uses, workspace)
	}
	m, problems, err := action.Find(workspace, u)
	if err != nil {
		return nil, err
	}
	if len(problems.Errors) > 0 {
		return nil, problems.Errors[0]
	}
	return job.FromManifest(m, path.Join("/home/runner/work/conformance/conformance", u.Path)), nil
}
