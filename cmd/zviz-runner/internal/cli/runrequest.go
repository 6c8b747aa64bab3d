// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
	"github.com/zviz/run/workflows/syntax"
)

// maxPayload is how large GitHub's payloads are at most.
const maxPayload = 25 << 20

// workflowDirs are where workflows lie in a repository, the first that is there.
func workflowDirs() []string {
	return []string{".github/workflows", ".gitea/workflows", ".forgejo/workflows"}
}

// runRequests makes a request of each workflow that is to be run.
func (a app) runRequests(ctx context.Context, o *runOptions, b *brought) ([]runnable, error) {
	files, err := o.workflowFiles()
	if err != nil {
		return nil, err
	}
	base, err := a.runBase(o)
	if err != nil {
		return nil, err
	}
	var list []runnable
	var idle, without error
	for _, path := range files {
		r, err := a.runOne(ctx, o, base, path, b)
		if t, ok := errors.AsType[*plan.NotTriggeredError](err); ok && o.file == "" {
			idle = t
			continue
		}
		if _, ok := errors.AsType[*plan.JobError](err); ok && o.file == "" {
			without = cmp.Or(without, err) // another one may have it
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	switch {
	case len(list) > 0:
		return list, nil
	case without != nil:
		return nil, without
	default:
		return nil, notTriggered("", idle)
	}
}

// workflowFiles are the files to be run.
func (o *runOptions) workflowFiles() ([]string, error) {
	if o.file != "" {
		return []string{o.file}, nil
	}
	dir, err := workspace(o.dir)
	if err != nil {
		return nil, err
	}
	repo, err := run.FindRepository(dir)
	if err != nil {
		return nil, failure{Code: "workspace.refused", What: err.Error(), Exit: exitUsage, err: err}
	}
	for at := dir; ; at = filepath.Dir(at) {
		for _, d := range workflowDirs() {
			out, err := workflowsIn(filepath.Join(at, d))
			if err != nil || len(out) > 0 {
				return out, err
			}
		}
		if at == repo.Dir || at == filepath.Dir(at) {
			break
		}
	}
	return nil, failure{Code: "usage.argument", What: "there is no workflow in " + filepath.Join(repo.Dir, workflowDirs()[0]), Fix: "zviz-runner run FILE", Exit: exitUsage}
}

// workflowsIn are the workflows in a folder; none if it is not there.
func workflowsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); (ext == ".yml" || ext == ".yaml") && e.Type().IsRegular() {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

// runBase is what all workflows of the call have in common.
func (a app) runBase(o *runOptions) (run.Request, error) {
	var q run.Request
	file, name, err := a.policy(o.policy)
	if err != nil {
		return q, err
	}
	o.policy = name // the one that was found
	grants := executor.Request{Policy: file.Policy, Presets: slices.Clone(file.Presets)}
	if o.quiet && o.verbose {
		return q, contradiction("-q", "-v")
	}
	o.args = []string{""} // no command: nothing is guessed of one
	if len(o.secrets)+len(o.secretFiles) > 0 {
		o.execOptions.secrets = []string{"any"}
	}
	notes, err := o.network(&grants, file)
	if err != nil {
		return q, err
	}
	a.runNotes(o, grants.Policy.Egress.Mode, notes)
	if err := o.limits(&grants.Policy); err != nil {
		return q, err
	}
	if err := o.files(&grants.Policy); err != nil {
		return q, err
	}
	q = run.Request{
		Policy: grants.Policy, Presets: grants.Presets,
		Guess:    o.origin["allow"] == "" && !file.DecidesHosts && !o.noNetwork,
		Steps:    o.steps,
		Parallel: o.parallel, RealToken: o.realToken,
	}
	if q.Parallel <= 0 {
		q.Parallel = max(2, runtime.NumCPU())
	}
	if host, err := os.Hostname(); err == nil {
		q.Runner.Name = host
	}
	if q.ToolCache, err = a.runToolCache(o); err != nil {
		return q, err
	}
	var secrets []job.Variable
	if !o.listed { // nothing is run that could need them
		if secrets, err = a.runSecrets(o); err != nil {
			return q, err
		}
	}
	for _, s := range secrets {
		switch name, environment, of := strings.Cut(s.Name, atEnvironment); {
		case of && (name == "" || environment == ""):
			return q, argument("--secret", s.Name, usageError{"want NAME@ENVIRONMENT", ""})
		case of:
			if q.EnvironmentSecrets == nil {
				q.EnvironmentSecrets = map[string][]job.Variable{}
			}
			key := strings.ToLower(environment)
			q.EnvironmentSecrets[key] = append(q.EnvironmentSecrets[key], job.Variable{Name: name, Value: s.Value})
		case strings.EqualFold(name, "GITHUB_TOKEN"):
			q.Token = s.Value
		default:
			q.Secrets = append(q.Secrets, s)
		}
	}
	if q.RealToken && q.Token == "" && !o.listed {
		return q, failure{Code: "usage.argument", What: "--real-token needs a token", Fix: "--secret GITHUB_TOKEN", Exit: exitUsage}
	}
	q.Env, err = a.runEnv(o)
	return q, err
}

// runNotes says what people should know of the flags. Not while a policy is learned: it
// goes where the notes would.
func (a app) runNotes(o *runOptions, mode egress.Mode, notes []string) {
	if mode == egress.ModeLearn {
		return
	}
	u := ui.New(ui.Config{In: a.In, Out: a.Out, Err: a.Err, Getenv: a.getenv, Color: o.color, Progress: "quiet", Quiet: o.quiet || o.json})
	defer u.Close()
	for _, n := range notes {
		u.Notef("%s", ui.CleanLine(n))
	}
}

// runOne makes the request of one workflow.
func (a app) runOne(ctx context.Context, o *runOptions, q run.Request, path string, b *brought) (runnable, error) {
	w, err := findWorkflow(path)
	if err != nil {
		return runnable{}, failure{Code: "usage.argument", What: err.Error(), Exit: exitUsage, err: err}
	}
	wf, problems := workflows.Parse(w.name, w.text, workflows.Options{Open: b.opener(ctx, w), Syntax: syntax.Options{BackgroundSteps: true}})
	if len(problems.Errors) > 0 {
		var lines []string
		for _, f := range w.findings(problems.Errors) {
			lines = append(lines, f.line(""))
		}
		return runnable{}, failure{Code: "workflow.invalid", What: strings.Join(lines, "\n"), Exit: exitFailed}
	}
	dir := w.root
	if o.dir != "" {
		if dir, err = workspace(o.dir); err != nil {
			return runnable{}, err
		}
	}
	if q.Repository, err = w.repository(dir); err != nil {
		return runnable{}, err
	}
	if !o.noRepoPolicy {
		narrowed, ok, err := executor.RepositoryPolicy(a.config(nil), q.Repository.Dir, o.policy)
		if err != nil {
			return runnable{}, err
		}
		if ok {
			q.Narrowed = &narrowed
		}
	}
	q.Workflow, q.Path = wf, w.name
	b.into(&q)
	occasion := run.Occasion{Event: o.event, Actor: cmp.Or(a.user(), "local"), Repository: q.Repository}
	if occasion.Event == "" {
		occasion.Event = "push"
	}
	q.Plan = plan.Options{
		Event: plan.Event{Name: occasion.Event, Ref: occasion.Ref(), Payload: occasion.Payload()}, Any: o.all, Jobs: o.jobs,
		GitHub: []expr.Member{{Name: "actor", Value: expr.String(occasion.Actor)}, {Name: "triggering_actor", Value: expr.String(occasion.Actor)}},
	}
	if o.payload != "" {
		if err := readPayload(o.payload, &q.Plan.Event); err != nil {
			return runnable{}, argument("--event-file", o.payload, err)
		}
	}
	for _, p := range []struct {
		flag string
		list []string
		to   *map[string]string
	}{{"--input", o.inputs, &q.Plan.Inputs}, {"--var", o.vars, &q.Plan.Vars}, {"--matrix", o.matrix, &q.Plan.Matrix}} {
		if *p.to, err = pairs(p.flag, p.list); err != nil {
			return runnable{}, err
		}
	}
	if q.Plan.Vars, q.Plan.Environments, err = ofEnvironments(q.Plan.Vars); err != nil {
		return runnable{}, err
	}
	if _, err := plan.New(wf, q.Options()); err != nil { // what is wrong is said before anything runs
		if t, ok := errors.AsType[*plan.NotTriggeredError](err); ok && o.file == "" {
			return runnable{}, t
		}
		return runnable{}, planError(w, err)
	}
	u := ui.New(ui.Config{In: a.In, Out: a.Out, Err: a.Err, Getenv: a.getenv, Progress: "quiet", Quiet: o.quiet || o.json})
	defer u.Close()
	for _, f := range w.findings(problems.Warnings) {
		u.Notef("%s", f.line("warning: "))
	}
	return runnable{w, q}, nil
}

// readPayload reads the payload of the event.
func readPayload(name string, e *plan.Event) error {
	data, err := readSmall(name, maxPayload)
	if err != nil {
		return cause(err)
	}
	v, err := expr.ParseJSON(string(data))
	if err != nil {
		return err
	}
	o, ok := v.(*expr.Object)
	if !ok {
		return errors.New("want a JSON object")
	}
	e.Payload = o
	if ref, ok := o.Get("ref"); ok && e.Name == "push" {
		if s, ok := ref.(expr.String); ok && strings.HasPrefix(string(s), "refs/") {
			e.Ref = string(s)
		}
	}
	return nil
}

// pairs reads KEY=VALUE; the last of a key counts.
func pairs(flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, kv := range list {
		key, value, ok := strings.Cut(kv, "=")
		if !ok || key == "" {
			return nil, argument(flag, kv, usageError{"want KEY=VALUE", ""})
		}
		out[key] = value
	}
	return out, nil
}

// runEnv gathers the variables of all steps; a later one wins.
func (a app) runEnv(o *runOptions) ([]job.Setting, error) {
	var list []string
	for _, name := range o.envFiles {
		kvs, err := readEnvFile(name, a.lookupEnv)
		if err != nil {
			return nil, argument("--env-file", name, err)
		}
		list = append(list, kvs...)
	}
	for _, s := range o.env {
		kv, ok, err := parseEnv(s, a.lookupEnv)
		if err != nil {
			key, _, _ := strings.Cut(s, "=")
			return nil, argument("--env", key, err) // without the value: it may be a secret
		}
		if ok {
			list = append(list, kv)
		}
	}
	var out []job.Setting
	for _, kv := range lastWins(list) {
		name, value, _ := strings.Cut(kv, "=")
		out = append(out, job.Setting{Name: name, Text: job.Text{Value: value}})
	}
	return out, nil
}

// atEnvironment is between the name of a secret or variable and that of the deployment
// environment that has it.
const atEnvironment = "@"

// ofEnvironments parts the variables of the run from those of deployment environments.
func ofEnvironments(all map[string]string) (vars map[string]string, of map[string]plan.OfEnvironment, err error) {
	vars, of = map[string]string{}, map[string]plan.OfEnvironment{}
	for key, value := range all {
		name, environment, ok := strings.Cut(key, atEnvironment)
		if !ok {
			vars[key] = value
			continue
		}
		if name == "" || environment == "" {
			return nil, nil, argument("--var", key, usageError{"want NAME@ENVIRONMENT=VALUE", ""})
		}
		environment = strings.ToLower(environment)
		if of[environment].Vars == nil {
			of[environment] = plan.OfEnvironment{Vars: map[string]string{}}
		}
		of[environment].Vars[name] = value
	}
	return vars, of, nil
}

// runSecrets gathers the secrets: a value of a flag, of a file, of our environment, or
// what somebody types.
func (a app) runSecrets(o *runOptions) ([]job.Variable, error) {
	var list []job.Variable
	note := func(format string, args ...any) {
		u := ui.New(ui.Config{In: a.In, Out: a.Out, Err: a.Err, Getenv: a.getenv, Progress: "quiet", Quiet: o.quiet || o.json})
		u.Notef(format, args...)
		u.Close()
	}
	set := func(name, value string) {
		if text := shortSecret(name, value); text != "" {
			note("%s", text)
		}
		list = slices.DeleteFunc(list, func(v job.Variable) bool { return strings.EqualFold(v.Name, name) })
		list = append(list, job.Variable{Name: name, Value: value})
	}
	for _, file := range o.secretFiles {
		kvs, err := readEnvFile(file, a.lookupEnv)
		if err != nil {
			return nil, argument("--secret-file", file, err)
		}
		for _, kv := range kvs {
			name, value, _ := strings.Cut(kv, "=")
			set(name, value)
		}
	}
	for _, s := range o.secrets {
		name, value, given := strings.Cut(s, "=")
		if err := checkEnvName(name); err != nil {
			return nil, argument("--secret", name, err)
		}
		if given {
			note("--secret %s=…: every user of this machine sees arguments; better: --secret %s with the variable set", name, name)
			set(name, value)
			continue
		}
		variable, _, _ := strings.Cut(name, atEnvironment)
		if value, given = a.lookupEnv(variable); !given {
			if !ui.IsTerminal(a.In) || o.json {
				return nil, failure{Code: "secret.missing", What: fmt.Sprintf("--secret %s: the variable %s is not set", name, variable), Fix: "export " + quoteShell(variable) + "=…", Exit: exitUsage}
			}
			var err error
			value, err = ui.AskSecret(a.In, a.Err, "secret "+name+": ")
			if stop, ok := errors.AsType[*ui.InterruptedError](err); ok {
				return nil, exitStatus(exitSignal + int(stop.Signal))
			}
			if err != nil {
				return nil, argument("--secret", name, err)
			}
		}
		set(name, value)
	}
	return list, nil
}
