// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"testing"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows/action"
)

// workspaceActions are those of the workspace, and a checkout.
type workspaceActions struct{ checkout *job.Action }

// checkout is an action that copies a folder into the workspace.
func checkout(t *testing.T, dir string) *job.Action {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &job.Action{
		Using: job.Composite, Dir: "/opt/zviz/checkout", Mounts: []sandbox.Mount{{Source: dir, Target: "/opt/zviz/checkout"}},
		Steps: stepsOf(t, "\n- {shell: bash, run: 'cp -r \"$GITHUB_ACTION_PATH/.\" .'}"),
	}
}

func (w workspaceActions) Load(_ context.Context, use job.Use, workspace fs.FS) (*job.Action, error) {
	u, err := action.ParseUses(use.Text)
	if err != nil {
		return nil, err
	}
	if u.Kind != action.Local {
		if u.Owner+"/"+u.Repo != "actions/checkout" {
			return nil, fmt.Errorf("no action %s", use.Text)
		}
		return w.checkout, nil
	}
	m, problems, err := action.Find(workspace, u)
	if err != nil {
		return nil, err
	}
	if len(problems.Errors) > 0 {
		return nil, problems.Errors[0]
	}
	return job.FromManifest(m, path.Join(job.Workspace("nektos/conformance"), u.Path)), nil
}
