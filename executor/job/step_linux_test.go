// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor/job"
)

// TestFiles: what a step writes into its files is there for the steps after it.
func TestFiles(t *testing.T) {
	res, rec := run(t, request(t, `
outputs:
  o: ${{ steps.one.outputs.o }}
  empty: ${{ steps.one.outputs.none }}
env: {A: job, B: job, P: job}
steps:
  - id: one
    run: |
      echo "o=1=2<<3" >> "$GITHUB_OUTPUT"
      printf 'many<<END\na\n\nb\nEND\n' >> "$GITHUB_OUTPUT"
      echo "B=file" >> "$GITHUB_ENV"
      echo "P=file" >> "$GITHUB_ENV"
      mkdir -p bin; printf '#!/bin/sh\necho mine\n' > bin/mine; chmod +x bin/mine
      echo "$PWD/bin" >> "$GITHUB_PATH"
      echo "# Title" >> "$GITHUB_STEP_SUMMARY"
  - run: |
      test "$A/$B/$P" = job/file/step
      test "${{ env.A }}/${{ env.B }}/${{ env.P }}" = job/file/step
      test "${{ steps.one.outputs.o }}" = "1=2<<3"
      test "${{ steps.one.outputs.many }}" = "$(printf 'a\n\nb')"
      test "${{ steps.one.outcome }}/${{ steps.one.conclusion }}" = success/success
      test "$(mine)" = mine
      test ! -s "$GITHUB_STEP_SUMMARY"
    env: {P: step}
  - run: test "$P" = file && test "$(mine)" = mine
`), job.Success)
	if diff := cmp.Diff([]job.Variable{{Name: "o", Value: "1=2<<3"}}, res.Outputs); diff != "" {
		t.Error(diff)
	}
	contains(t, rec, "one summary # Title")
	if len(res.Steps) != 3 || res.Steps[1].ID != "__run" || !strings.HasPrefix(res.Steps[1].Name, "Run test ") {
		t.Errorf("%+v", res.Steps)
	}
}

// TestFilesInExpressions: a step's expressions name its own files.
func TestFilesInExpressions(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - id: one
    env: {FILE: "${{ github.env }}"}
    run: |
      echo "o=1" >> ${{ github.output }}
      echo "B=2" >> "$FILE"
      test "$FILE" = "$GITHUB_ENV"
      echo "/some/dir" >> ${{ github.path }}
      echo "# Title" >> ${{ github.step_summary }}
  - run: echo "${{ steps.one.outputs.o }} $B ${PATH%%:*}"
`), job.Success)
	contains(t, rec, "stdout: 1 2 /some/dir", "one summary # Title")
}

// TestBadFiles: a file that cannot be read fails its step, and what stood before
// the mistake counts.
func TestBadFiles(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"no delimiter", `printf 'ok=1\nx<<EOF\na\n' >> "$GITHUB_OUTPUT"`, "Invalid value. Matching delimiter not found 'EOF'"},
		{"neither", `printf 'ok=1\nnothing\n' >> "$GITHUB_OUTPUT"`, "Invalid format 'nothing'"},
		{"no name", `printf 'ok=1\n=x\n' >> "$GITHUB_OUTPUT"`, "Required field 'name' is missing"},
		{"a pipe", `echo ok=1 >> "$GITHUB_OUTPUT"; rm "$GITHUB_ENV"; mkfifo "$GITHUB_ENV"`, "Unable to process file command 'env' successfully."},
		{"a link out", `echo ok=1 >> "$GITHUB_OUTPUT"; ln -sf /etc/passwd "$GITHUB_ENV"`, "Unable to process file command 'env' successfully."},
		{"too large", `echo ok=1 >> "$GITHUB_OUTPUT"; head -c 17000000 /dev/zero >> "$GITHUB_ENV"`, "larger than 16 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, rec := run(t, request(t, `
steps:
  - id: bad
    run: `+tt.script+`
  - if: failure() && steps.bad.outcome == 'failure' && steps.bad.outputs.ok == '1'
    run: echo seen
`), job.Failure)
			contains(t, rec, tt.want, "stdout: seen")
		})
	}
}

// TestSummaryTooLarge: it is an error that fails nothing.
func TestSummaryTooLarge(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - run: head -c 1100000 /dev/zero | tr '\0' x >> "$GITHUB_STEP_SUMMARY"
`), job.Success)
	contains(t, rec, "supports content up to a size of 1024k, got 1074k")
}

// TestPoison: a step cannot make the programs of later ones load its code.
func TestPoison(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - run: |
      for v in NODE_OPTIONS node_options LD_PRELOAD LD_AUDIT BASH_ENV GLIBC_TUNABLES PERL5OPT LD_LIBRARY_PATH GITHUB_SHA RUNNER_OS GITHUB_ACTIONS; do
        echo "$v=/evil" >> "$GITHUB_ENV"
      done
  - run: |
      test "$NODE_OPTIONS$node_options$LD_PRELOAD$LD_AUDIT$BASH_ENV$GLIBC_TUNABLES$PERL5OPT" = ""
      test "$LD_LIBRARY_PATH" = /evil
      test "$GITHUB_SHA $RUNNER_OS $GITHUB_ACTIONS" = "0123456789012345678901234567890123456789 Linux true"
      test "${{ env.GITHUB_SHA }}" = /evil
`), job.Success)
	contains(t, rec, "Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command.",
		"Can't set LD_PRELOAD using '$GITHUB_ENV' command: the dynamic loader", "Can't set BASH_ENV")
}

// TestEnvironment is complete, and nothing of the runner's.
func TestEnvironment(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - id: sid
    run: env | cut -d= -f1 | sort | tr '\n' ' '; echo
  - run: |
      test "$GITHUB_ACTION/$GITHUB_JOB/$CI" = __run/a/true
      test "$GITHUB_WORKSPACE" = /home/runner/work/hello/hello && test "$PWD" = "$GITHUB_WORKSPACE"
      test "$RUNNER_WORKSPACE" = /home/runner/work/hello
      grep -q '"x": 1' "$GITHUB_EVENT_PATH"
      test -d "$RUNNER_TEMP" && test -d "$RUNNER_TOOL_CACHE" && test -z "$GITHUB_TOKEN"
      test "$(id -un) $HOME" = "runner /home/runner"
  - run: test "$GITHUB_ACTION/$CI" = __run_2/no
    env: {CI: no}
  - run: cat; echo end
`), job.Success)
	got := strings.Fields(rec.printed()[0])
	want := strings.FieldsSeq(`CI GITHUB_ACTION GITHUB_ACTIONS GITHUB_ENV GITHUB_EVENT_NAME GITHUB_EVENT_PATH GITHUB_JOB GITHUB_OUTPUT GITHUB_PATH
		GITHUB_REPOSITORY GITHUB_SHA GITHUB_STATE GITHUB_STEP_SUMMARY GITHUB_WORKSPACE HOME PATH RUNNER_ARCH RUNNER_ENVIRONMENT RUNNER_NAME
		RUNNER_OS RUNNER_TEMP RUNNER_TOOL_CACHE RUNNER_TRACKING_ID RUNNER_WORKSPACE`)
	for w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s is not set: %q", w, got)
		}
	}
}

// TestShells have GitHub's command lines.
func TestShells(t *testing.T) {
	q := request(t, `
defaults: {run: {working-directory: sub}}
steps:
  - run: mkdir sub
    working-directory: .
  - run: |
      tr '\0' ' ' < /proc/$$/cmdline; echo
      false | true
      test "$PWD" = /home/runner/work/hello/hello/sub
  - run: tr '\0' ' ' < /proc/$$/cmdline; echo
    shell: bash
  - run: false | true
    shell: bash
    continue-on-error: true
    id: pipefail
  - run: test ${{ steps.pipefail.outcome }} = failure
  - run: tr '\0' ' ' < /proc/$$/cmdline; echo
    shell: sh
  - run: tr '\0' ' ' < /proc/$$/cmdline; echo
    shell: 'bash -u -c ". \"{0}\" x" {0}'
  - run: pwd
    working-directory: /tmp
`)
	_, rec := run(t, q, job.Success)
	var got []string
	for _, l := range rec.printed() {
		name := strings.Index(l, "/home/runner/work/_temp/")
		if name >= 0 {
			l = strings.ReplaceAll(l, l[name:name+len("/home/runner/work/_temp/")+26], "F")
		}
		got = append(got, strings.TrimSpace(l))
	}
	want := []string{
		"/usr/bin/bash -e F.sh", "/usr/bin/bash --noprofile --norc -e -o pipefail F.sh", "/usr/bin/sh -e F.sh",
		`/usr/bin/bash -u -c . "F.sh" x F.sh`, "/tmp",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
}

func TestPython(t *testing.T) {
	if _, err := exec.LookPath("/usr/bin/python"); err != nil {
		t.Skip(err)
	}
	run(t, request(t, `
steps:
  - run: import sys; assert sys.argv[0].endswith('.py')
    shell: python
  - run: import sys; assert sys.argv[0].endswith('.py')
    shell: python -u {0}
`), job.Success)
}

// TestNotStarted: what cannot be started fails with words as GitHub's.
func TestNotStarted(t *testing.T) {
	tests := []struct{ name, step, want string }{
		{"no such shell", "{run: x, shell: 'nosuchshell {0}'}", "nosuchshell: command not found"},
		{"pwsh", "{run: x, shell: pwsh}", "pwsh: command not found"},
		{"no place for the script", "{run: x, shell: perl}", "Invalid shell option. Shell must be a valid built-in"},
		{"no such directory", "{run: x, working-directory: none}", "with working directory '/home/runner/work/hello/hello/none'. No such file or directory"},
		{"no such directory elsewhere", "{run: x, working-directory: /none}", "with working directory '/none'. "},
		{"exit code", "{run: exit 3}", "Process completed with exit code 3."},
		{"no action", "{uses: ./x}", "./x"},
		{"too much environment", "{run: x, env: {A: \"${{ format('{0}', github.sha) }}\", B: \"" + strings.Repeat("x", 200000) + "\"}}", "rgument list too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "pwsh" {
				if _, err := exec.LookPath("pwsh"); err == nil {
					t.Skip("it is here")
				}
			}
			res, rec := run(t, request(t, "\nsteps:\n  - "+tt.step+"\n  - run: echo never\n  - {run: echo after, if: always()}\n"), job.Failure)
			contains(t, rec, tt.want, "stdout: after")
			lacks(t, rec, "stdout: never")
			if res.Steps[1].Conclusion != job.Skipped {
				t.Errorf("%+v", res.Steps)
			}
		})
	}
}

// TestConditions: which steps run after one that failed.
func TestConditions(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - {id: tolerated, run: exit 1, continue-on-error: true}
  - {run: echo A}
  - {run: echo B, if: "steps.tolerated.outcome == 'failure' && steps.tolerated.conclusion == 'success'"}
  - {id: skipped, run: echo no, if: false}
  - {run: echo C, if: "steps.skipped.outcome == 'skipped' && job.status == 'success'"}
  - {id: hard, run: exit 1}
  - {run: echo no}
  - {run: echo no, if: true}
  - {run: echo D, if: failure()}
  - {run: echo E, if: always()}
  - {run: echo no, if: cancelled()}
  - {run: echo F, if: "!cancelled() && job.status == 'failure'"}
  - {run: echo no, if: "failure() && fromJSON('bad')"}
  - {run: echo G, if: failure(), name: "name ${{ steps.hard.outcome }}"}
  - {run: echo H, if: "${{ always() && !contains(github.job, '${{') }}"}
`), job.Failure)
	if diff := cmp.Diff([]string{"A", "B", "C", "D", "E", "F", "G", "H"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	contains(t, rec, "The condition could not be evaluated", `"name failure"`)
}

// TestStepTimeout is a number of minutes, cut to a whole one.
func TestStepTimeout(t *testing.T) {
	q := request(t, `
steps:
  - {run: echo fine, timeout-minutes: 0.5}
  - {run: echo never, timeout-minutes: "${{ github.job }}"}
`)
	_, rec := run(t, q, job.Failure)
	contains(t, rec, "stdout: fine", "timeout-minutes: expected a number, got 'a'")
	lacks(t, rec, "stdout: never")
}

// TestStepIsEnded when its time is over, and the job goes on as after a failure.
func TestStepIsEnded(t *testing.T) {
	q := request(t, `
steps:
  - {run: "trap 'echo interrupted; exit 0' INT; while true; do sleep 0.05; done", timeout-minutes: 5, name: slow, continue-on-error: true}
  - {run: echo next}
  - {run: "sleep 1000", timeout-minutes: "${{ fromJSON('1.9') }}"}
`)
	q.Cell = openCell(t)
	var rec record
	q.Emit = rec.add
	res, err := job.RunWith(t.Context(), q, 500*time.Millisecond)
	if err != nil || res.Conclusion != job.Failure || res.Steps[0].Outcome != job.Failure || res.Steps[2].Outcome != job.Failure {
		t.Errorf("%+v, %v\n%s", res, err, rec.log())
	}
	if diff := cmp.Diff([]string{"interrupted", "next"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	contains(t, &rec, "The action 'slow' has timed out after 5 minutes.", "has timed out after 1 minutes.")
}

// TestJobTimeout is a cancellation.
func TestJobTimeout(t *testing.T) {
	q := request(t, `
steps:
  - run: trap 'echo interrupted; exit 1' INT; while true; do sleep 0.05; done
  - {run: echo never}
  - {run: echo always, if: always()}
  - {run: echo cancelled, if: cancelled()}
  - {run: echo failure, if: failure()}
`)
	q.Timeout = 3 * time.Second
	res, rec := run(t, q, job.Cancelled)
	if diff := cmp.Diff([]string{"interrupted", "always", "cancelled"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	if !res.TimedOut || res.Steps[0].Outcome != job.Cancelled {
		t.Errorf("%+v", res)
	}
}

// runUntil runs a job and cancels it when a line is printed.
func runUntil(t *testing.T, q job.Request, line string, cause error) (job.Result, *record) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var rec record
	q.Cell = openCell(t)
	q.Emit = func(e job.Event) {
		rec.add(e)
		if e.Kind == job.Line && e.Stream == job.Stdout && e.Text == line {
			cancel(cause)
		}
	}
	res, err := job.Run(ctx, q)
	if err != nil {
		t.Errorf("%v\n%s", err, rec.log())
	}
	return res, &rec
}

// TestCancel: a step with always() goes on, what comes after it is skipped, and
// after the grace everything ends.
func TestCancel(t *testing.T) {
	q := request(t, `
steps:
  - {run: "echo begin; sleep 0.2; echo end", if: always()}
  - {run: echo never}
  - {run: "echo last; sleep 1000", if: always()}
`)
	q.CancelTimeout = 5 * time.Second
	res, rec := runUntil(t, q, "begin", errors.New("stop"))
	if diff := cmp.Diff([]string{"begin", "end", "last"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	if res.Conclusion != job.Cancelled || res.TimedOut {
		t.Errorf("%+v", res)
	}
}

// TestShutdown: no step runs any more, whatever its condition.
func TestShutdown(t *testing.T) {
	res, rec := runUntil(t, request(t, `
steps:
  - {run: "echo begin; sleep 1000", if: always()}
  - {run: echo never, if: always()}
`), "begin", job.ErrShutdown)
	if res.Conclusion != job.Failure || len(rec.printed()) != 1 {
		t.Errorf("%+v\n%s", res, rec.log())
	}
	contains(t, rec, "shutdown signal")
}

// TestBackgroundProcess: what a step leaves running is no command's source any more.
func TestBackgroundProcess(t *testing.T) {
	q := request(t, `
steps:
  - id: one
    run: (while [ ! -e go ]; do sleep 0.05; done; echo "::set-output name=x::late"; echo plain) & echo now
  - run: touch go; while [ ! -e seen ]; do sleep 0.05; done
  - run: test -z "${{ steps.one.outputs.x }}"
`)
	cell := openCell(t)
	q.Cell = cell
	var rec record
	q.Emit = func(e job.Event) {
		rec.add(e)
		if e.Text == "plain" {
			if err := cell.WriteFile(job.Workspace("octo/hello")+"/seen", nil, 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	res, err := job.Run(t.Context(), q)
	if err != nil || res.Conclusion != job.Success {
		t.Errorf("%+v, %v\n%s", res, err, rec.log())
	}
	contains(t, &rec, "one stdout: ::set-output name=x::late", "one stdout: plain")
}

// TestHashFiles: links and other kinds of files lead nowhere; links within the workspace do
// if they are asked for.
func TestHashFiles(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - run: mkdir d; printf a > d/a.txt; printf b > b.txt; ln -s /etc/passwd d/p.txt; mkfifo d/pipe.txt; ln -s / out; ln -s d in
  - run: |
      want="$( (printf b | sha256sum | cut -c1-64 | xxd -r -p; printf a | sha256sum | cut -c1-64 | xxd -r -p) | sha256sum | cut -c1-64)"
      echo "want $want got ${{ hashFiles('b.txt', 'd/a.txt') }}"
      test "${{ hashFiles('none') }}" = ""
      test "${{ hashFiles('in/*.txt') }}" = ""
      test "${{ hashFiles('--follow-symbolic-links', 'in/*.txt') }}" = "${{ hashFiles('d/a.txt') }}"
      test "${{ hashFiles('--Follow-symbolic-links', 'out/**') }}" = ""
      test "${{ hashFiles('a', '--other') }}" = ""
  - {run: echo no, continue-on-error: true, name: "${{ hashFiles('--other', 'a') }}"}
  - {run: echo no, continue-on-error: true, env: {A: "${{ hashFiles('--other', 'a') }}"}}
`), job.Success)
	if f := strings.Fields(rec.printed()[0]); len(f) != 4 || f[1] != f[3] {
		t.Errorf("%q", f)
	}
	contains(t, rec, "invalid glob option --other, available option: '--follow-symbolic-links'")
}
