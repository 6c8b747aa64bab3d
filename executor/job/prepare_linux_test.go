// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/job"
)

// counted is a cell that counts what is prepared.
type counted struct {
	*executor.Cell
	n atomic.Int64
}

func (c *counted) Prepare(ctx context.Context) error {
	c.n.Add(1)
	return c.Cell.Prepare(ctx)
}

// TestPrepare: each step but the first starts in a sandbox that was made while the
// one before it ran; none is made for nobody.
func TestPrepare(t *testing.T) {
	for steps, want := range map[int]int64{1: 0, 4: 3} {
		cell := counted{Cell: openCell(t)}
		q := request(t, "\nsteps:\n"+strings.Repeat("  - {run: 'true'}\n", steps))
		q.Cell = &cell
		run(t, q, job.Success)
		if n := cell.n.Load(); n != want {
			t.Errorf("%d steps: %d are prepared, want %d", steps, n, want)
		}
	}
}

// TestSecretsOnlyWhereNamed: no process has a secret that its step does not name, and
// no file holds one.
func TestSecretsOnlyWhereNamed(t *testing.T) {
	q := request(t, `
steps:
  - {run: 'test -n "$T"', env: {T: "${{ secrets.TOKEN }}"}}
  - run: |
      find='tok''en-of-the-operator'
      env | grep -q "$find" && exit 1
      grep -rsq "$find" /home/runner /tmp /proc/self/environ && exit 2
      exit 0
`)
	q.Secrets = []job.Variable{{Name: "TOKEN", Value: "token-of-the-operator"}}
	_, rec := run(t, q, job.Success)
	lacks(t, rec, "token-of-the-operator")
}
