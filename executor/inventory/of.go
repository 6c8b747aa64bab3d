// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	cache "github.com/zviz/run/cache/action"
	"github.com/zviz/run/executor/actions"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/syntax"
)

// mostDepth is how deep composite actions are read, as deep as they run (GitHub: 10).
const mostDepth = 10

// Machine is what is asked about this machine.
type Machine struct {
	LookPath func(name string) string // a program in the PATH of jobs; empty if there is none
	// Load reads an action without fetching it. called is the called workflow that the
	// job is from, as workflows.Call.File; empty if it is of the run's own.
	Load func(ctx context.Context, use job.Use, called string) (*job.Action, error)
	Node func(major int) (State, string)
	// LocalCheckout: actions/checkout is not one of Load's.
	LocalCheckout bool
	Given         func(secret string) bool // there is a value for it
}

// of lists what one workflow needs.
type of struct {
	ctx context.Context //nolint:containedctx // of one call
	m   Machine
	items
}

// Of lists what a workflow needs. The order is that of the kinds, then of the names.
func Of(ctx context.Context, wf *workflows.Workflow, m Machine) []Item {
	o := &of{ctx: ctx, m: m}
	o.named(workflowTokens(wf), "the workflow")
	o.jobs(wf.Jobs, "", "", wf.Defaults, true)
	return o.sorted()
}

// jobs looks at the jobs of a file. secrets says whether they have the run's own.
func (o *of) jobs(list []*workflows.Job, prefix, called string, defaults *syntax.Token, secrets bool) {
	for _, j := range list {
		id := prefix + j.ID.Text
		if secrets {
			o.named(jobTokens(j), id)
		}
		if j.Uses != nil {
			state, detail := Here, ""
			if !j.Call.Loaded {
				state, detail = Fetch, "it is not on this machine: what it needs is not listed"
			}
			o.add(Called, j.Uses.Text, state, detail, id)
			from := called
			if j.Call.File != "" {
				from = j.Call.File
			}
			o.jobs(j.Call.Jobs, id+".", from, j.Call.Defaults, secrets && j.Call.InheritSecrets)
			continue
		}
		o.labels(j, id)
		o.images(j, id)
		job := &jobSteps{of: o, called: called, shell: firstShell(j.Defaults, defaults), made: map[string]string{}}
		job.steps(j.Steps, id, nil, 0)
	}
}

// labels says whether this machine is one of those that a job asks for.
func (o *of) labels(j *workflows.Job, id string) {
	for _, l := range labelsOf(j) {
		switch low := strings.ToLower(l); {
		case strings.Contains(l, "${{"):
			o.add(Label, l, Unknown, "known only when it runs", id)
		case strings.HasPrefix(low, "windows"), strings.HasPrefix(low, "macos"):
			o.add(Label, l, Missing, "this machine is Linux; to leave such cells of a matrix out: --matrix", id)
		default:
			o.add(Label, l, Here, "this machine", id)
		}
	}
}

func (o *of) images(j *workflows.Job, id string) {
	const why = "images are not run by this version"
	image := func(t *syntax.Token, used string) {
		name := t.String()
		if t.Kind == syntax.Mapping {
			name = t.Get("image").String()
		}
		if name != "" { // an empty one is none
			o.add(Image, name, Missing, why, used)
		}
	}
	if j.Container != nil {
		image(j.Container, id)
	}
	if j.Services == nil {
		return
	}
	if j.Services.IsExpression() {
		o.add(Image, j.Services.String(), Unknown, "known only when it runs", id)
	}
	for _, p := range j.Services.Pairs {
		image(p.Value, id+" (service "+p.Key.String()+")")
	}
}

// jobSteps are the steps of one job, with those of its composite actions.
type jobSteps struct {
	*of
	called string
	shell  string
	made   map[string]string // programs that an earlier step brings, and which
}

func (s *jobSteps) steps(list []*workflows.Step, id string, in *job.Action, depth int) {
	for _, st := range list {
		used := id + "/" + st.ID
		switch st.Kind {
		case workflows.ParallelStep:
			s.steps(st.Parallel, id, in, depth)
		case workflows.RunStep:
			s.script(st, used)
		case workflows.UsesStep:
			s.action(st, used, in, depth)
		case workflows.WaitStep, workflows.WaitAllStep, workflows.CancelStep:
		}
	}
}

func (s *jobSteps) script(st *workflows.Step, used string) {
	shell := s.shell
	if st.Shell != nil {
		shell = st.Shell.String()
	}
	program, _, _ := strings.Cut(shell, " ")
	switch {
	case strings.Contains(shell, "${{"):
		s.add(Shell, shell, Unknown, "known only when it runs", used)
		return
	case program == "" && s.m.LookPath("bash") == "":
		program = "sh"
	case program == "":
		program = "bash"
	}
	s.program(Shell, program, used)
	if program != "bash" && program != "sh" {
		return
	}
	text := run.Template(st.Run)
	programs, installs := run.ProgramsOf(text)
	for _, name := range installs { // a script uses what it has installed itself
		s.made[name] = used
	}
	for _, name := range programs {
		s.program(Tool, name, used)
	}
	for _, preset := range run.ToolsOf(text) {
		s.add(Registry, preset, Reach, "", used)
	}
}

func (s *jobSteps) program(k Kind, name, used string) {
	if name == "sudo" {
		return // every job has ours
	}
	found := s.m.LookPath(name)
	by, made := s.made[name]
	switch {
	case found != "":
		s.add(k, name, Here, found, used)
	case made:
		s.add(k, name, Made, "by "+by, used)
	default:
		s.add(k, name, Missing, "it is not in the PATH of jobs", used)
	}
}

func (s *jobSteps) action(st *workflows.Step, used string, in *job.Action, depth int) {
	text := st.Uses.Text
	u, err := action.ParseUses(text)
	if err != nil {
		s.add(Action, text, Missing, err.Error(), used)
		return
	}
	repo := strings.ToLower(u.Owner + "/" + u.Repo)
	for _, name := range brings(repo) {
		s.made[name] = text
	}
	if s.m.LocalCheckout && u.Kind == action.Remote && repo == "actions/checkout" && u.Path == "" {
		s.add(Action, text, Here, "the files of this machine", used)
		return
	}
	a, err := s.m.Load(s.ctx, job.Use{Text: text, Pos: st.Uses.Pos, In: in}, s.called)
	if err != nil {
		state, detail := missing(err)
		s.add(Action, text, state, detail, used)
		return
	}
	s.add(Action, text, Here, whereOf(u, a), used)
	switch a.Using {
	case job.Node:
		state, detail := s.m.Node(a.NodeVersion)
		s.add(Node, strconv.Itoa(a.NodeVersion), state, detail, used)
	case job.Composite:
		if depth < mostDepth {
			inner := *s // the job's default shell is not the action's
			inner.shell = ""
			inner.steps(a.Steps, used, a, depth+1)
		}
	}
}

// missing says what becomes of an action that is not at hand.
func missing(err error) (State, string) {
	if e, ok := errors.AsType[*cache.Error](err); ok && e.Reason == cache.Offline {
		return Fetch, "it is not in the cache: what it needs is not listed"
	}
	if _, ok := errors.AsType[*actions.NotRunError](err); ok {
		return Missing, "docker actions are not run by this version"
	}
	return Missing, err.Error()
}

// whereOf says where an action is.
func whereOf(u action.Uses, a *job.Action) string {
	switch {
	case u.Kind != action.Remote:
		return "of this repository"
	case len(a.Mounts) > 0 && a.Mounts[0].Owner != nil: // as Source shows a folder of the user's
		return "of --local-action"
	default:
		return "in the cache"
	}
}

// brings are the programs that well-known actions put into PATH.
func brings(repo string) []string {
	return strings.Fields(map[string]string{
		"actions/setup-node": "node npm npx corepack yarn pnpm", "actions/setup-go": "go gofmt", "actions/setup-python": "python python3 pip pip3",
		"actions/setup-java": "java javac jar", "actions/setup-dotnet": "dotnet", "ruby/setup-ruby": "ruby gem bundle bundler rake irb",
		"dtolnay/rust-toolchain": "cargo rustc rustup rustfmt", "actions-rs/toolchain": "cargo rustc rustup", "actions-rust-lang/setup-rust-toolchain": "cargo rustc rustup rustfmt",
		"pnpm/action-setup": "pnpm pnpx", "oven-sh/setup-bun": "bun bunx", "denoland/setup-deno": "deno", "astral-sh/setup-uv": "uv uvx",
		"gradle/actions": "gradle", "golangci/golangci-lint-action": "golangci-lint", "hashicorp/setup-terraform": "terraform", "azure/setup-helm": "helm",
		"azure/setup-kubectl": "kubectl", "erlef/setup-beam": "erl elixir mix rebar3", "shivammathur/setup-php": "php composer", "mlugg/setup-zig": "zig",
	}[repo])
}

// labelsOf are the labels of runs-on, with those that a matrix gives if they are written
// there.
func labelsOf(j *workflows.Job) []string {
	t := j.RunsOn
	if t != nil && t.Kind == syntax.Mapping {
		t = t.Get("labels")
	}
	if t == nil {
		return nil
	}
	list := t.Items
	if t.Scalar() {
		list = []*syntax.Token{t}
	}
	var out []string
	for _, l := range list {
		key, ok := strings.CutPrefix(strings.TrimSpace(l.Text), "matrix.")
		if l.Kind != syntax.Expression || !ok {
			out = append(out, l.String())
			continue
		}
		values := ofMatrix(j.Strategy.Get("matrix"), key)
		if len(values) == 0 {
			values = []string{l.String()}
		}
		out = append(out, values...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ofMatrix are the values that a key of a matrix has, as far as they are written.
func ofMatrix(m *syntax.Token, key string) []string {
	var out []string
	for v := range m.Get(key).All() {
		if v.Scalar() {
			out = append(out, v.String())
		}
	}
	for i := range m.Get("include").All() {
		if v := i.Get(key); v.Scalar() {
			out = append(out, v.String())
		}
	}
	return out
}

// firstShell is the default of the job, else of the workflow.
func firstShell(list ...*syntax.Token) string {
	for _, d := range list {
		if s := d.Get("run").Get("shell"); s != nil {
			return s.String()
		}
	}
	return ""
}
