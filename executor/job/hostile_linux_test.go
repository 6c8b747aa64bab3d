// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/zviz/run/executor/job"
)

// TestHostileTemp: a step can break the folder in which the runner puts its files, and
// so the steps after it, but leads the runner nowhere else.
func TestHostileTemp(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		want   job.Conclusion // of the job: a failing step is all that may happen
	}{
		"gone":           {`rm -rf "$RUNNER_TEMP"`, job.Success},
		"a file":         {`rm -rf "$RUNNER_TEMP"; echo > "$RUNNER_TEMP"`, job.Failure},
		"a link out":     {`rm -rf "$RUNNER_TEMP"; ln -s /var/tmp "$RUNNER_TEMP"`, job.Failure},
		"a link up":      {`rm -rf "$RUNNER_TEMP"; ln -s ../../../../../../var/tmp "$RUNNER_TEMP"`, job.Failure},
		"a link inside":  {`rm -rf "$RUNNER_TEMP"; mkdir ../x; ln -s hello/x "$RUNNER_TEMP"`, job.Success},
		"not writable":   {`chmod 0 "$RUNNER_TEMP"/_runner_file_commands`, job.Success},
		"no workspace":   {`cd /; rm -rf "$GITHUB_WORKSPACE"`, job.Failure},
		"a shell in bin": {`mkdir b; printf '#!/bin/sh\necho hijacked\n' > b/bash; chmod +x b/bash; echo "$PWD/b" >> "$GITHUB_PATH"`, job.Success},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := fs.Glob(os.DirFS("/var/tmp"), "_runner_file_commands*")
			if err != nil {
				t.Fatal(err)
			}
			res, rec := runIn(t.Context(), t, request(t, "\nsteps:\n  - run: |\n      "+tt.script+"\n  - run: echo next\n"))
			if res.Conclusion != tt.want || res.Steps[0].Outcome == job.Skipped {
				t.Errorf("%+v\n%s", res, rec.log())
			}
			after, err := fs.Glob(os.DirFS("/var/tmp"), "_runner_file_commands*")
			if err != nil || len(after) != len(before) {
				t.Errorf("%q, %v", after, err)
			}
			if _, err := os.Lstat("/var/tmp/_github_workflow"); !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
	}
}
