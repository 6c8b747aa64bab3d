// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// recording makes the events of a run as the engine hands them out.
type recording struct {
	events []run.Event
	name   map[string]string
}

func (r *recording) add(e run.Event) {
	e.Time = noon.Add(time.Duration(len(r.events)) * time.Second)
	if e.Job != "" {
		e.Name = r.name[e.Job]
	}
	if e.Step != nil {
		e.Step.Time = e.Time
	}
	r.events = append(r.events, e)
}

func (r *recording) run(name string) *recording {
	r.name = map[string]string{}
	r.add(run.Event{Kind: run.RunStarted, Name: name})
	return r
}

func (r *recording) job(id, name string) {
	r.name[id] = name
	r.add(run.Event{Kind: run.JobStarted, Job: id})
}

func (r *recording) jobEnds(id string, c plan.Conclusion, d time.Duration, why string) {
	r.add(run.Event{Kind: run.JobFinished, Job: id, Conclusion: c, Duration: d, Why: why})
}

func (r *recording) runEnds(name string, c plan.Conclusion) {
	r.add(run.Event{Kind: run.RunFinished, Name: name, Conclusion: c, Duration: 15300 * time.Millisecond})
}

func (r *recording) step(id string, e job.Event) {
	r.add(run.Event{Kind: run.JobStep, Job: id, Step: &e})
}

func (r *recording) begins(id, step, name string) {
	r.step(id, job.Event{Kind: job.StepStarted, Step: step, Name: name})
}

func (r *recording) ends(id, step, name string, c job.Conclusion, exit int) {
	r.step(id, job.Event{Kind: job.StepFinished, Step: step, Name: name, Result: &job.StepResult{
		ID: step, Name: name, Outcome: c, Conclusion: c, Duration: 1200 * time.Millisecond, ExitCode: exit,
	}})
}

func (r *recording) line(id, step, text string) {
	r.step(id, job.Event{Kind: job.Line, Step: step, Stream: job.Stdout, Text: text})
}

func (r *recording) info(id, step, text string) {
	r.step(id, job.Event{Kind: job.Line, Step: step, Stream: job.Info, Text: text})
}

func (r *recording) group(id, step, title string) {
	r.step(id, job.Event{Kind: job.GroupStarted, Step: step, Text: title})
}

func (r *recording) groupEnds(id, step string) {
	r.step(id, job.Event{Kind: job.GroupEnded, Step: step})
}

func (r *recording) annotation(id, step string, a job.Annotation) {
	r.step(id, job.Event{Kind: job.Annotated, Step: step, Annotation: &a})
}

func (r *recording) denied(id, step, host string, port uint16, n int) {
	for range n {
		r.add(run.Event{Kind: run.JobEgress, Job: id, Egress: &egress.Event{
			Time: noon, Type: "egress", Step: step, Verdict: egress.VerdictDeny, Door: egress.DoorTLS, Host: host, Port: port, Rule: "default", Reason: egress.ReasonHost,
			Process: egress.Process{PID: 41, Exe: "/usr/bin/node"},
		}})
	}
}

// oneJob is a run of one job, with everything that a step can do.
func oneJob() []run.Event {
	r := (&recording{}).run("ci")
	r.job("build", "build")
	r.begins("build", "__run", "Run npm ci")
	r.group("build", "__run", "Run npm ci")
	r.info("build", "__run", "npm ci")
	r.info("build", "__run", "shell: /usr/bin/bash -e {0}")
	r.groupEnds("build", "__run")
	r.line("build", "__run", "added 10 packages")
	r.group("build", "__run", "audit")
	r.line("build", "__run", "\x1b[32mfound 0\x1b[0m vulnerabilities\tok")
	r.groupEnds("build", "__run")
	r.line("build", "__run", "10%\r50%\r100%")
	r.denied("build", "Run npm ci", "evil.test", 443, 3)
	r.line("build", "__run", "done")
	r.ends("build", "__run", "Run npm ci", job.Success, 0)
	r.begins("build", "lint", "Lint")
	r.annotation("build", "lint", job.Annotation{Level: "warning", File: "src/a.js", Line: 3, Column: 5, Message: "x is unused\nremove it", Title: "no-unused"})
	r.annotation("build", "lint", job.Annotation{Level: "error", File: "src/b.js", Line: 7, Message: "y is not defined"})
	r.annotation("build", "lint", job.Annotation{Level: "error", Message: "Process completed with exit code 1.", ByRunner: true})
	r.step("build", job.Event{Kind: job.Summary, Step: "lint", Text: "## Lint\n- [ ] 2 problems\n"})
	r.ends("build", "lint", "Lint", job.Failure, 1)
	r.step("build", job.Event{Kind: job.StepFinished, Step: "deploy", Name: "Deploy", Result: &job.StepResult{ID: "deploy", Name: "Deploy", Outcome: job.Skipped, Conclusion: job.Skipped}})
	r.jobEnds("build", plan.Failure, 3200*time.Millisecond, "")
	r.runEnds("ci", plan.Failure)
	return r.events
}

// manyJobs is a run of several, two of them at a time, with an action, with steps beside
// each other, and with jobs that never start.
func manyJobs() []run.Event {
	r := (&recording{}).run("release")
	r.job("lint", "lint")
	r.begins("lint", "__run", "Run make lint")
	r.job("test.1", "test (ubuntu, 20)")
	r.line("lint", "__run", "0 issues")
	r.begins("test.1", "setup", "Set up")
	r.begins("test.1", "setup/inner", "Fetch")
	r.line("test.1", "setup/inner", "fetching")
	r.denied("test.1", "Fetch", "cdn.test", 8443, 1)
	r.ends("lint", "__run", "Run make lint", job.Success, 0)
	r.jobEnds("lint", plan.Success, 2*time.Second, "")
	r.ends("test.1", "setup/inner", "Fetch", job.Failure, 22)
	r.ends("test.1", "setup", "Set up", job.Failure, 0)
	r.begins("test.1", "a", "Server")
	r.begins("test.1", "b", "Client")
	r.line("test.1", "a", "listening")
	r.line("test.1", "b", "connected")
	r.ends("test.1", "b", "Client", job.Success, 0)
	r.line("test.1", "a", "bye")
	r.step("test.1", job.Event{Kind: job.StepFinished, Step: "a", Name: "Server", Result: &job.StepResult{ID: "a", Name: "Server", Outcome: job.Failure, Conclusion: job.Success, Duration: time.Second, ExitCode: 3}})
	r.jobEnds("test.1", plan.Failure, 12*time.Second, "")
	r.name["deploy"] = "deploy"
	r.jobEnds("deploy", plan.Skipped, 0, "test failed")
	r.runEnds("release", plan.Failure)
	return r.events
}

// decisions is a run in which the network decides all that it can, and nothing fails.
func decisions() []run.Event {
	r := (&recording{}).run("ci")
	r.job("a", "a")
	r.begins("a", "s", "Run")
	for _, e := range []egress.Event{
		{Verdict: egress.VerdictDeny, Door: egress.DoorDNS, Host: "evil.test", Reason: egress.ReasonHost, Count: 2},
		{Verdict: egress.VerdictDeny, Door: egress.DoorUDP, Dst: "192.0.2.1:53", Reason: egress.ReasonPort},
		{Verdict: egress.VerdictDeny, Door: egress.DoorTLS, Host: "telemetry.test", Port: 443, Reason: egress.ReasonHost, Expected: true},
		{Verdict: egress.VerdictDeny, Door: egress.DoorHTTP, Host: "registry.test", Port: 443, Method: "PUT", Reason: egress.ReasonMethod, Package: egress.Package{Pkg: "left-pad@1.3.0", Script: "postinstall"}},
		{Verdict: egress.VerdictDeny, Door: egress.DoorTLS, Host: "0123456789abcdef0123456789abcdef.evil.test", Port: 443, Reason: egress.ReasonHost},
		{Verdict: egress.VerdictWouldDeny, Door: egress.DoorTLS, Host: "cdn.test", Port: 443, Reason: egress.ReasonHost},
		{Verdict: egress.VerdictAllow, Door: egress.DoorTLS, Host: "registry.test", Port: 443, Rule: "npm"},
		{Verdict: egress.VerdictAllow, Door: egress.DoorDNS, Host: "registry.test"},
		{Verdict: egress.VerdictNote, Door: egress.DoorTLS, Host: "registry.test", Port: 443, Reason: egress.ReasonUntrusted, Hint: "set NODE_EXTRA_CA_CERTS"},
	} {
		e.Time, e.Type, e.Step = noon, "egress", "Run"
		r.add(run.Event{Kind: run.JobEgress, Job: "a", Egress: &e})
	}
	r.ends("a", "s", "Run", job.Success, 0)
	r.jobEnds("a", plan.Success, time.Second, "")
	r.runEnds("ci", plan.Success)
	return r.events
}

// shownBy plays events to the view of a mode on no real terminal, and in no time: a status
// is not drawn, however long it takes.
func shownBy(t testing.TB, c Config, colors ui.Colors, size func() (int, int), events []run.Event) string {
	t.Helper()
	var b bytes.Buffer
	v := newView(c, &b, colors, size)
	if live, ok := v.(*serial).r.(*terminal); ok {
		v.(*serial).mu.Lock()
		live.since = time.Now().Add(time.Hour)
		v.(*serial).mu.Unlock()
	}
	for _, e := range events {
		v.Event(e)
	}
	v.Close()
	if err := v.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sized(rows, cols int) func() (int, int) { return func() (int, int) { return rows, cols } }

func artifacts() []Artifact {
	return []Artifact{{Name: "dist", Bytes: 1 << 20, Path: "out/dist"}, {Name: "logs\x1b[2J", Bytes: 12}}
}

func TestViews(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		colors ui.Colors
		cols   int
		events []run.Event
	}{
		{"plain_one", Config{Mode: Plain}, false, 0, oneJob()},
		{"plain_one_verbose", Config{Mode: Plain, Verbose: true}, false, 0, oneJob()},
		{"plain_many", Config{Mode: Plain, Artifacts: artifacts}, false, 0, manyJobs()},
		{"quiet_one", Config{Mode: Quiet}, false, 0, oneJob()},
		{"quiet_many", Config{Mode: Quiet}, false, 0, manyJobs()},
		{"json_one", Config{Mode: JSON}, false, 0, oneJob()},
		{"json_many", Config{Mode: JSON, Artifacts: artifacts}, false, 0, manyJobs()},
		{"plain_network", Config{Mode: Plain}, false, 0, decisions()},
		{"plain_network_verbose", Config{Mode: Plain, Verbose: true}, false, 0, decisions()},
		{"quiet_network", Config{Mode: Quiet}, false, 0, decisions()},
		{"json_network", Config{Mode: JSON}, false, 0, decisions()},
		{"terminal_one", Config{Mode: Live, Jobs: 1}, false, 80, oneJob()},
		{"terminal_one_color", Config{Mode: Live, Jobs: 1}, true, 80, oneJob()},
		{"terminal_many", Config{Mode: Live, Jobs: 3}, false, 80, manyJobs()},
		{"terminal_many_narrow", Config{Mode: Live}, false, 20, manyJobs()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := shownBy(t, tt.config, tt.colors, sized(24, tt.cols), tt.events)
			golden(t, tt.name+".txt", got)
		})
	}
}

// golden compares with a file of testdata; go test -update writes them.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}
