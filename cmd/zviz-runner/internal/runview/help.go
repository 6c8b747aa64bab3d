// SPDX-License-Identifier: Apache-2.0

package runview

// Help describes what a run prints, for people who read it and for programs.
const Help = `What a run prints
On standard output, in the order in which it happens; errors of zviz-runner itself are
on standard error. Behind the mark "│" is what a job printed, and nothing else is; a
job cannot print a line of another mark:
  ●  a job starts              ▸  a step starts
  ✓  it succeeded              ✗  it failed; "and goes on": continue-on-error
  ■  it was cancelled          -  it was skipped
  !  an annotation, a note     ⊘  the network refused a connection
  …  it waits for another run
A line that begins with the name of a step is of that one and not of the step whose ▸
came last: steps may run beside each other. Groups have a title (▾) and are indented.
Colours of a job pass where there is colour; all other control characters are shown as
escapes such as \x1b. In a pipe, "::" at the beginning of a line and "##[" come apart: it
may be the log of a CI system, which would obey. The script and the variables of a step are shown with -v.

On a terminal, what runs is at the bottom; names of jobs are in front of lines once two
have run at a time. In a pipe each line begins with [JOB]. -q leaves errors and the
result. At the end: the jobs, the last lines of steps that failed, annotations, what was
refused with the flag that would allow it, artifacts, and step summaries.

JSON lines
With --json, one object a line. Each has "time" (RFC 3339, UTC) and "type"; about a job
"job" (its id, unique in the run), about a step "step". Fields are added, never renamed.
  run.start    name
  run.waiting  name, why: another run has its concurrency group
  job.start    name
  job.waiting  name, why: the same, before job.start
  job.prepare  name: of an action that is got before the first step
  step.start   name
  log          stream (stdout, stderr; info and debug are the runner's), data: a line
               without its end. "more": true if the rest of it is in the next log of
               this step and stream
  group.start  title
  group.end
  annotation   level (error, warning, notice), message, title, file, line, end_line,
               column, end_column, code; by_runner: true if it is not the job's
  summary      markdown, of GITHUB_STEP_SUMMARY
  egress       a decision of the network, as in a report; "step" is the step's name here
  step.done    name, outcome, conclusion (success after a failure that is let pass),
               duration_ms, exit_code
  job.done     name, conclusion (success, failure, cancelled, skipped), why, duration_ms;
               also of a job that never started
  run.done     the last line of a workflow: name, conclusion, why, duration_ms, schema, jobs,
               failed_steps, annotations (how many of each level), denied (a row for each host of a
               job; "allow" is what --allow would name), artifacts (name, size in bytes,
               path). lost_decisions: how many decisions are missing in the lines before
               and in denied, since the reader was too slow; jobs wait for it, the
               network does not
A line of more than 64 KiB comes in parts from the start; between those, "more" is not
set.

With --json, --list prints {"file":…,"jobs":[…]}, an object a workflow; a job has id,
name, needs, stage, matrix, and, where there are any, cells (names), uses, and jobs of
the workflow that it calls. --graph adds "stages":[[ID…]…] and "edges":[{"from":ID,
"to":ID}…]. With --dry-run a job has no stage and matrix, but steps: id, name, uses, and
allow: the presets and hosts that the step may reach.

The report
--report writes {"schema":"zviz.run/run/v1","conclusion":…,"workflows":[…]} to a file. A
workflow has file, conclusion and jobs; a job id, name, conclusion, tolerated, why and,
if it ran, report: what exec --report writes of a command (docs/report-v1.schema.json of
the source). zviz-runner report prints it for people.`
