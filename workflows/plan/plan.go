// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
)

// Options say what is run and with what.
type Options struct {
	Event   Event
	Any     bool          // run it whatever its events and their filters say
	GitHub  []expr.Member // of the github context, beside what follows from the event
	Inputs  map[string]string
	Vars    map[string]string
	Secrets []string // names only
	// Environments are what deployment environments have besides, by the name of the
	// environment in any case of letters. Of those a job has what stands in its own.
	Environments map[string]OfEnvironment

	Jobs    []string          // only these, and what they need; nil: all. A job of the run's own file
	Matrix  map[string]string // only cells that do not have another value there
	MaxJobs int               // in the run, with cells and called workflows; 0: 10,000
}

// OfEnvironment is what a deployment environment gives to its jobs. It goes before what
// the run has of the same name (docs, "Using secrets in GitHub Actions", precedence).
type OfEnvironment struct {
	Vars    map[string]string
	Secrets []string // names only
}

const defaultMaxJobs = 10_000

// Plan is a run.
type Plan struct {
	Name, RunName string
	Group         Group // the run's own concurrency group

	wf       *workflows.Workflow
	o        Options
	ev       evaluator
	vars     *expr.Object
	github   []expr.Member
	workflow string // github.workflow

	top     *scope
	cells   map[string]*cell
	total   int
	running int
	outputs int     // bytes
	held    int     // bytes of what was evaluated for jobs that are not done
	ready   []*cell // in the order of the file
	stops   []Stop
	ended   []Status // without having run, not yet handed out

	starts []*node // all that they need is done
	fills  []*node // may have room for another cell
	enters []*cell // got their group
	groups map[string]*group

	cancelled, done bool
	conclusion      Conclusion
}

// New makes the plan of a run. The error is a *NotTriggeredError, an *InputError, or says
// what of the workflow cannot be evaluated.
func New(wf *workflows.Workflow, o Options) (*Plan, error) {
	o.Event = o.Event.normal()
	if o.MaxJobs <= 0 {
		o.MaxJobs = defaultMaxJobs
	}
	p := &Plan{wf: wf, o: o, cells: map[string]*cell{}, groups: map[string]*group{}}
	if !o.Any {
		if err := o.Event.triggers(wf); err != nil {
			return nil, err
		}
	}
	if err := p.evaluateRun(); err != nil {
		return nil, err
	}
	jobs, err := chosen(wf.Jobs, o.Jobs)
	if err != nil {
		return nil, err
	}
	p.top.add(p, jobs)
	p.settle()
	return p, nil
}

// varsOf is the vars context of several sets, of which the first that has a name counts.
func varsOf(sets ...map[string]string) *expr.Object {
	var vars []expr.Member
	for i, set := range sets {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			same := func(m expr.Member) bool { return expr.Fold(m.Name) == expr.Fold(name) }
			if i == 0 || !slices.ContainsFunc(vars, same) {
				vars = append(vars, expr.Member{Name: name, Value: expr.String(set[name])})
			}
		}
	}
	return expr.NewObject(vars...)
}

// evaluateRun evaluates what the file says about the run as a whole.
func (p *Plan) evaluateRun() error {
	p.vars = varsOf(p.o.Vars)
	p.workflow = cmp.Or(p.wf.Name.String(), p.fileName())
	p.setGitHub()
	env := expr.Env{Contexts: expr.Values{"github": p.githubOf(""), "vars": p.vars}}
	inputs, err := runInputs(p.wf, p.o.Event, p.o.Inputs, &p.ev, env)
	if err != nil {
		return p.explain("inputs", "", err)
	}
	if p.o.Event.Name == dispatchEvent {
		p.o.Event.Payload = withInputs(p.o.Event.Payload, inputs)
		p.setGitHub()
	}
	p.top = &scope{env: p.wf.Env, defaults: p.wf.Defaults, inputs: expr.NewObject(inputs...), secrets: &Secrets{names: p.o.Secrets}}
	env.Contexts = p.contexts(p.top, "")
	p.Name = p.workflow
	if p.RunName, err = p.ev.text(p.wf.RunName, env); err != nil {
		return p.explain("run-name", "", err)
	}
	if p.Group, err = p.group(p.wf.Concurrency, env); err != nil {
		return p.explain("concurrency", "", err)
	}
	return nil
}

func (p *Plan) fileName() string {
	if len(p.wf.Files) == 0 {
		return ""
	}
	return p.wf.Files[0]
}

func (p *Plan) setGitHub() {
	p.github = slices.Concat(p.o.GitHub, p.o.Event.facts(), []expr.Member{{Name: "workflow", Value: expr.String(p.workflow)}})
}

// githubOf is the github context of a job. Most jobs name little of it, and a run may
// have thousands, so its members are put together when they are asked for.
func (p *Plan) githubOf(job string) *expr.Object {
	members := p.github
	return expr.LazyObject(func() []expr.Member {
		if job == "" {
			return members
		}
		return slices.Concat([]expr.Member{{Name: "job", Value: expr.String(job)}}, members)
	})
}

// contexts are those that every value can name.
func (p *Plan) contexts(s *scope, job string) expr.Values {
	return expr.Values{"github": p.githubOf(job), "vars": p.vars, "inputs": s.inputs}
}

// explain says what could not be evaluated, in GitHub's words.
func (p *Plan) explain(what, job string, err error) error {
	var e *EvalError
	if !errors.As(err, &e) {
		if job == "" {
			return err
		}
		return fmt.Errorf("cannot evaluate '%s' of job '%s': %w", what, job, err)
	}
	file := ""
	if e.Pos.File > 0 && e.Pos.File <= len(p.wf.Files) {
		file = p.wf.Files[e.Pos.File-1]
	}
	of := ""
	if job != "" {
		of = " of job '" + job + "'"
	}
	return fmt.Errorf("cannot evaluate '%s'%s: %s (Line: %d, Col: %d): %w", what, of, file, e.Pos.Line, e.Pos.Col, e)
}

// maxWhy bounds what a job's expression can put into messages: characters.
const maxWhy = 500

// whyOf is the text of an error for Status.Why.
func whyOf(err error) string {
	r := []rune(err.Error())
	if len(r) > maxWhy {
		return string(r[:maxWhy]) + "[...]"
	}
	return string(r)
}

// JobError is a job that was asked for and that the workflow does not have.
type JobError struct {
	Name string
	Jobs []string // that it has
}

func (e *JobError) Error() string { return fmt.Sprintf("the workflow has no job %q", e.Name) }

func noJob(name string, jobs []*workflows.Job) error {
	e := &JobError{Name: name}
	for _, j := range jobs {
		e.Jobs = append(e.Jobs, j.ID.Text)
	}
	return e
}

// chosen are the named jobs with all that they need, in the order of the file.
func chosen(jobs []*workflows.Job, names []string) ([]*workflows.Job, error) {
	if names == nil {
		return jobs, nil
	}
	byID := map[string]*workflows.Job{}
	for _, j := range jobs {
		byID[expr.Fold(j.ID.Text)] = j
	}
	wanted := map[*workflows.Job]bool{}
	for queue := slices.Clone(names); len(queue) > 0; queue = queue[1:] {
		j := byID[expr.Fold(queue[0])]
		if j == nil {
			return nil, noJob(queue[0], jobs)
		}
		if wanted[j] {
			continue
		}
		wanted[j] = true
		for _, n := range j.Needs {
			queue = append(queue, n.Text)
		}
	}
	return slices.DeleteFunc(slices.Clone(jobs), func(j *workflows.Job) bool { return !wanted[j] }), nil
}

// Ready are the jobs that may start, in the order of the file.
func (p *Plan) Ready() []*Job {
	list := make([]*Job, len(p.ready))
	for i, c := range p.ready {
		list[i] = c.job
	}
	return list
}

// Next is the first of Ready; nil if none may start.
func (p *Plan) Next() *Job {
	if len(p.ready) == 0 {
		return nil
	}
	return p.ready[0].job
}

// Started says that a ready job runs.
func (p *Plan) Started(id string) error {
	c := p.cells[id]
	if c == nil || c.state != Ready {
		return fmt.Errorf("job %q is not ready", id)
	}
	p.unready(c)
	c.state = Running
	p.running++
	return nil
}

// Finish says how a running job ended.
func (p *Plan) Finish(id string, r Result) error {
	c := p.cells[id]
	if c == nil || c.state != Running || c.sub != nil {
		return fmt.Errorf("job %q is not running", id)
	}
	switch r.Conclusion {
	case Success, Failure, Cancelled:
	default:
		return fmt.Errorf("job %q ran: it cannot be %q", id, r.Conclusion)
	}
	p.running--
	c.timedOut = r.TimedOut && r.Conclusion == Cancelled
	if why := p.takeOutputs(c, r.Outputs); why != "" {
		c.why, r.Conclusion = why, Failure
	}
	p.end(c, r.Conclusion)
	p.settle()
	return nil
}

// GitHub's limits of outputs (docs, "Workflow syntax", jobs.<job_id>.outputs): characters.
const (
	maxJobOutputs = 1 << 20
	maxRunOutputs = 50 << 20
)

func (p *Plan) takeOutputs(c *cell, outputs []Output) (why string) {
	size := 0
	for _, o := range outputs {
		size += len(o.Name) + len(o.Value)
	}
	switch {
	case size > maxJobOutputs:
		return fmt.Sprintf("its outputs are %d bytes, more than %d", size, maxJobOutputs)
	case p.outputs+size > maxRunOutputs:
		return fmt.Sprintf("the outputs of the run are more than %d bytes", maxRunOutputs)
	}
	p.outputs += size
	c.outputs = slices.Clone(outputs)
	return ""
}

// Cancel ends the run: jobs that run are in Stops, those that wait end, but for jobs
// whose condition still holds, as always() does.
func (p *Plan) Cancel(reason string) {
	if p.done || p.cancelled {
		return
	}
	p.cancelled = true
	p.cancelScope(p.top, reason)
	p.settle()
}

// CancelJob ends one job, as another one does that takes its place in a concurrency group:
// in Stops if it runs, or with all that it calls.
func (p *Plan) CancelJob(id, reason string) {
	if c := p.cells[id]; c != nil && !p.done {
		p.cancelCell(c, reason)
		p.settle()
	}
}

// Over says whether a job has ended. One that is not known has not.
func (p *Plan) Over(id string) bool {
	c := p.cells[id]
	return c != nil && c.state == Done
}

// Stops are the running jobs that are to end, each once.
func (p *Plan) Stops() []Stop {
	list := slices.DeleteFunc(p.stops, func(s Stop) bool { return p.cells[s.ID].state != Running }) // it was faster
	p.stops = nil
	return list
}

// Ended are the jobs that ended without having run, each once: skipped, cancelled while
// they waited, or failed before their first step.
func (p *Plan) Ended() []Status {
	list := p.ended
	p.ended = nil
	return list
}

// Done says whether the run has ended, and how: Skipped if no job ran, which is no
// failure.
func (p *Plan) Done() (Conclusion, bool) { return p.conclusion, p.done }

// Jobs are all jobs so far, in the order of the file, a calling job before what it calls.
func (p *Plan) Jobs() []Status { return p.top.list(nil) }
