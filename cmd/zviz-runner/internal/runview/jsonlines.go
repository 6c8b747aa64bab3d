// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows/plan"
)

// maxLogData bounds the data of one line: readers have buffers.
const maxLogData = 32 << 10

// jsonLines shows a run to a program; Help says how.
type jsonLines struct {
	w         io.Writer
	tally     *tally
	artifacts func() []Artifact
	done      bool // the result is the last line
}

// line is what every line begins with.
type line struct {
	Time time.Time `json:"time"`
	Type string    `json:"type"`
	Job  string    `json:"job,omitempty"`
	Step string    `json:"step,omitempty"`
}

type named struct {
	line
	Name string `json:"name"`
}

type waits struct {
	named
	Why string `json:"why"`
}

type logLine struct {
	line
	Stream string `json:"stream"`
	Data   string `json:"data"`
	More   bool   `json:"more,omitempty"`
}

type titled struct {
	line
	Title string `json:"title"`
}

type annotationLine struct {
	line
	Level     string `json:"level"`
	Message   string `json:"message"`
	Title     string `json:"title,omitempty"`
	File      string `json:"file,omitempty"`
	Line      int    `json:"line,omitempty"`
	EndLine   int    `json:"end_line,omitempty"`
	Column    int    `json:"column,omitempty"`
	EndColumn int    `json:"end_column,omitempty"`
	Code      string `json:"code,omitempty"`
	ByRunner  bool   `json:"by_runner,omitempty"`
}

type summaryLine struct {
	line
	Markdown string `json:"markdown"`
}

type stepDone struct {
	named
	Outcome    job.Conclusion `json:"outcome"`
	Conclusion job.Conclusion `json:"conclusion"`
	DurationMS int64          `json:"duration_ms"`
	ExitCode   int            `json:"exit_code"`
}

type jobDone struct {
	named
	Conclusion plan.Conclusion `json:"conclusion"`
	Why        string          `json:"why,omitempty"`
	DurationMS int64           `json:"duration_ms"`
}

// schema names the form of the last line. Fields are added, never renamed.
const schema = "zviz.run/run-done/v1"

type runDone struct {
	jobDone
	Schema        string         `json:"schema"`
	Jobs          []jobResult    `json:"jobs"`
	FailedSteps   []failedResult `json:"failed_steps"`
	Annotations   counts         `json:"annotations"`
	Denied        []deniedResult `json:"denied"`
	Artifacts     []artifactLine `json:"artifacts"`
	LostDecisions int            `json:"lost_decisions,omitempty"`
}

type jobResult struct {
	Job        string          `json:"job"`
	Name       string          `json:"name"`
	Conclusion plan.Conclusion `json:"conclusion"`
	Why        string          `json:"why,omitempty"`
	DurationMS int64           `json:"duration_ms"`
}

type failedResult struct {
	Job      string `json:"job"`
	Step     string `json:"step"`
	Name     string `json:"name"`
	ExitCode int    `json:"exit_code"`
}

type counts struct {
	Error   int `json:"error"`
	Warning int `json:"warning"`
	Notice  int `json:"notice"`
}

type deniedResult struct {
	Job string `json:"job"`
	egress.Summary
	Allow string `json:"allow,omitempty"`
}

type artifactLine struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Path string `json:"path,omitempty"`
}

func (j *jsonLines) put(v any) { _ = ui.WriteJSON(j.w, v, "") } // the writer keeps its error

func (j *jsonLines) event(e run.Event) {
	if j.done {
		return
	}
	j.tally.event(e)
	head := line{Time: e.Time.UTC(), Job: e.Job}
	as := func(kind string) line {
		head.Type = kind
		return head
	}
	switch e.Kind {
	case run.RunStarted:
		j.put(named{as("run.start"), e.Name})
	case run.RunWaiting:
		j.put(waits{named{as("run.waiting"), e.Name}, e.Why})
	case run.JobWaiting:
		j.put(waits{named{as("job.waiting"), e.Name}, e.Why})
	case run.JobStarted:
		j.put(named{as("job.start"), e.Name})
	case run.JobStep:
		if e.Step != nil {
			j.step(e, head)
		}
	case run.JobEgress:
		if e.Egress != nil {
			ev := *e.Egress
			ev.Job = e.Job
			j.put(ev)
		}
	case run.JobFinished:
		j.put(jobDone{named{as("job.done"), e.Name}, e.Conclusion, e.Why, e.Duration.Milliseconds()})
	case run.RunFinished:
		j.put(j.result(e, as("run.done")))
		j.done = true
	}
}

func (j *jsonLines) step(e run.Event, head line) {
	s := e.Step
	head.Step = s.Step
	if !s.Time.IsZero() {
		head.Time = s.Time.UTC()
	}
	as := func(kind string) line {
		head.Type = kind
		return head
	}
	switch s.Kind {
	case job.Preparing:
		j.put(named{as("job.prepare"), s.Text})
	case job.StepStarted:
		j.put(named{as("step.start"), s.Name})
	case job.Line:
		j.log(as("log"), s.Stream, s.Text)
	case job.GroupStarted:
		j.put(titled{as("group.start"), s.Text})
	case job.GroupEnded:
		j.put(as("group.end"))
	case job.Annotated:
		if a := s.Annotation; a != nil {
			j.put(annotationLine{as("annotation"), a.Level, a.Message, a.Title, a.File, a.Line, a.EndLine, a.Column, a.EndColumn, a.Code, a.ByRunner})
		}
	case job.Summary:
		j.put(summaryLine{as("summary"), s.Text})
	case job.StepFinished:
		if r := s.Result; r != nil {
			j.tally.stepFinished(e.Job, e.Name, r, nil)
			j.put(stepDone{named{as("step.done"), s.Name}, r.Outcome, r.Conclusion, r.Duration.Milliseconds(), r.ExitCode})
		}
	}
}

// log writes a line of a step, a long one in parts that are whole characters.
func (j *jsonLines) log(head line, stream, text string) {
	for len(text) > maxLogData {
		n := maxLogData
		for n > maxLogData-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		j.put(logLine{head, stream, text[:n], true})
		text = text[n:]
	}
	j.put(logLine{head, stream, text, false})
}

func (j *jsonLines) result(e run.Event, head line) runDone {
	t := j.tally
	r := runDone{
		jobDone: jobDone{named{head, e.Name}, e.Conclusion, e.Why, e.Duration.Milliseconds()}, Schema: schema,
		Jobs:        []jobResult{},
		FailedSteps: []failedResult{}, Denied: []deniedResult{}, Artifacts: []artifactLine{},
		Annotations:   counts{t.annotations["error"], t.annotations["warning"], t.annotations["notice"]},
		LostDecisions: t.lost,
	}
	for _, f := range t.jobs {
		r.Jobs = append(r.Jobs, jobResult{f.Job, f.Name, f.Conclusion, f.Why, f.Duration.Milliseconds()})
	}
	for _, f := range t.failed {
		r.FailedSteps = append(r.FailedSteps, failedResult{f.job, f.result.ID, f.result.Name, f.result.ExitCode})
	}
	for _, d := range t.rows {
		allow := strings.Join(decision.Allowable([]egress.Summary{d.row}), ",")
		r.Denied = append(r.Denied, deniedResult{d.job, d.row, allow})
	}
	if j.artifacts != nil {
		for _, a := range j.artifacts() {
			r.Artifacts = append(r.Artifacts, artifactLine{a.Name, a.Bytes, a.Path})
		}
	}
	return r
}

func (j *jsonLines) tick() {}
func (j *jsonLines) end()  {}
