// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor/job"
)

// TestBackground: two steps wait for each other, and what they set counts from when
// they are waited for.
func TestBackground(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - id: a
    background: true
    run: |
      touch a; while [ ! -e b ]; do sleep 0.02; done
      echo o=1 >> "$GITHUB_OUTPUT"; echo E=1 >> "$GITHUB_ENV"; touch written
  - run: |
      while [ ! -e a ]; do sleep 0.02; done; touch b
      while [ ! -e written ]; do sleep 0.02; done
  - run: echo "before ${{ steps.a.outputs.o }}$E."
  - wait: a
  - run: echo "after ${{ steps.a.outputs.o }}$E ${{ steps.a.outcome }}"
`), job.Success)
	if diff := cmp.Diff([]string{"before .", "after 11 success"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
}

// TestBackgroundFailure counts at the wait, or at the end of the steps.
func TestBackgroundFailure(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - {id: a, background: true, run: exit 1}
  - {id: b, background: true, run: exit 1, continue-on-error: true}
  - {run: echo A}
  - {wait: [b]}
  - {run: "echo B ${{ steps.b.outcome }}"}
  - wait-all:
  - {run: echo no}
  - {run: echo C, if: failure()}
`), job.Failure)
	if diff := cmp.Diff([]string{"A", "B failure", "C"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	run(t, request(t, "\nsteps:\n  - {id: a, background: true, run: sleep 0.1; exit 1}\n  - {run: echo A}\n"), job.Failure)
}

// TestBackgroundCancel ends a step, which fails nothing.
func TestBackgroundCancel(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - {id: a, background: true, run: "trap 'echo interrupted; exit 1' INT; touch ready; while true; do sleep 0.05; done"}
  - {run: "while [ ! -e ready ]; do sleep 0.02; done"}
  - {cancel: a}
  - {run: "echo ${{ steps.a.outcome }} ${{ job.status }}"}
`), job.Success)
	if diff := cmp.Diff([]string{"interrupted", "cancelled success"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
}

// TestParallel: of the steps of a block ten run at a time, of which none ends before
// the tenth has begun, and all end before the next step.
func TestParallel(t *testing.T) {
	var text strings.Builder
	text.WriteString("\nsteps:\n  - parallel:\n")
	for range 12 {
		text.WriteString("      - {run: 'd=$(mktemp -d running.XXXXXX); ls -d running.* | wc -l > ${d/running/n}; while [ $(ls n.* | wc -l) -lt 10 ]; do sleep 0.02; done; rmdir $d'}\n")
	}
	text.WriteString("  - {run: 'ls n.* | wc -l; test $(cat n.* | sort -n | tail -1) -le 10'}\n")
	_, rec := run(t, request(t, text.String()), job.Success)
	got := rec.printed()
	if !slices.Equal(got, []string{"12"}) {
		t.Errorf("%q\n%s", got, rec.log())
	}
}
