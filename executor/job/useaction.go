// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/expr"
)

// useAction runs the main part of an action.
func (st *stepRun) useAction(ctx context.Context) Conclusion {
	r := st.r
	in := r.instanceOf(st.sc, st.s)
	a, err := r.load(ctx, st.s, st.sc.action)
	if err != nil {
		st.fail("%s", explained(err))
		return Failure
	}
	in.action = a
	st.action.Store(a)
	if local(st.s.Uses.Text) && a.Pre != "" {
		r.annotate(st.id, "warning", "`pre` execution is not supported for local action from '"+st.s.Uses.Text+"'")
	}
	given, err := st.inputs(a)
	if err != nil {
		st.fail("%v", err)
		return Failure
	}
	switch a.Using {
	case Node:
		st.registerPost(in)
		return st.node(ctx, in, a.Main, given)
	case Composite:
		return st.composite(ctx, in, given)
	default:
		st.fail("'using: %s' is not run here; node20, node24 and composite are", a.Using)
		return Failure
	}
}

// inputs are those of the step's with, and the defaults of the action.
func (st *stepRun) inputs(a *Action) ([]Variable, error) {
	r := st.r
	given, err := r.evalMap(st.s.With, st.view())
	if err != nil {
		return nil, says("The template is not valid. with: %v", err)
	}
	var out []Variable
	known := map[string]bool{}
	var names []string
	for _, i := range a.Inputs {
		known[expr.Fold(i.Name)] = true
		names = append(names, "'"+i.Name+"'")
	}
	var unexpected []string
	set := map[string]bool{}
	for _, g := range given {
		set[expr.Fold(g.Name)] = true
		if !known[expr.Fold(g.Name)] {
			unexpected = append(unexpected, "'"+g.Name+"'")
		}
		out = append(out, g)
	}
	if len(unexpected) > 0 && st.phase == phaseMain {
		r.annotate(st.id, "warning", fmt.Sprintf("Unexpected input(s) %s, valid inputs are [%s]", strings.Join(unexpected, ", "), strings.Join(names, ", ")))
	}
	for _, i := range a.Inputs {
		if set[expr.Fold(i.Name)] {
			if i.Deprecation != "" && st.phase == phaseMain {
				r.annotate(st.id, "warning", fmt.Sprintf("Input '%s' has been deprecated with message: %s", i.Name, i.Deprecation))
			}
			continue
		}
		v := st.view()
		// A default knows less than a step.
		v.sc = &scope{contexts: []string{"github", "strategy", "matrix", "job", "runner"}, inputs: expr.Null{}, action: st.sc.action, status: Success}
		value, err := r.evalString(i.Default, v)
		if err != nil {
			return nil, says("The template is not valid. inputs.%s.default: %v", i.Name, err)
		}
		out = append(out, Variable{i.Name, value})
	}
	return out, nil
}

// node runs a script of a JavaScript action.
func (st *stepRun) node(ctx context.Context, in *instance, script string, inputs []Variable) Conclusion {
	r := st.r
	a := in.action
	file := path.Join(a.Dir, script)
	if !a.holds(file) || file == a.root() {
		st.fail("%s: %s leads out of the action", st.s.Uses.Text, script)
		return Failure
	}
	program, err := st.nodeProgram(ctx, a)
	if err != nil {
		st.fail("%s", explained(err))
		return Failure
	}
	st.extra = slices.Clone(r.q.ActionEnv)
	for _, i := range inputs {
		st.extra = append(st.extra, Variable{action.EnvName(i.Name), i.Value})
	}
	r.mu.Lock()
	for _, s := range in.state {
		st.extra = append(st.extra, Variable{"STATE_" + s.Name, s.Value})
	}
	r.mu.Unlock()
	if to := r.q.ArtifactServer; to != "" && storesArtifacts(a) {
		st.server = to
		r.emit(Event{Kind: Line, Step: st.id, Stream: Info, Text: r.text("GITHUB_SERVER_URL is " + to + " for this step: clients of artifacts refuse servers that are not GitHub's")})
	}
	st.show("", program.Path+" "+file)
	outcome := st.process(ctx, process{args: []string{program.Path, file}, dir: r.workspace, mounts: slices.Concat(a.Mounts, program.Mounts)})
	st.mu.Lock()
	saved := st.effects.state
	st.mu.Unlock()
	r.mu.Lock()
	in.state = append(in.state, saved...)
	r.mu.Unlock()
	return outcome
}

// storesArtifacts reports whether an action is one of those whose only use of
// GITHUB_SERVER_URL is to refuse what they do not know.
func storesArtifacts(a *Action) bool {
	return slices.ContainsFunc([]string{"actions/upload-artifact", "actions/download-artifact"}, func(name string) bool {
		return strings.EqualFold(a.Repository, name)
	})
}

// nodeProgram finds the Node.js for an action.
func (st *stepRun) nodeProgram(ctx context.Context, a *Action) (Program, error) {
	r := st.r
	env := st.view().env
	wanted, warning := action.Runs{Kind: action.Node, Using: fmt.Sprintf("node%d", a.NodeVersion)}.NodeVersion(func(name string) string {
		v, _ := env.get(name)
		return v
	})
	if warning != "" {
		r.annotate(st.id, "warning", warning)
	}
	if r.q.Tools != nil {
		p, err := r.q.Tools.Node(ctx, wanted, a.NodeVersion)
		if err != nil {
			return Program{}, fmt.Errorf("%s: %w", st.s.Uses.Text, err)
		}
		if p.Note != "" {
			r.emit(Event{Kind: Line, Step: st.id, Stream: Info, Text: r.text(p.Note)})
		}
		return p, nil
	}
	p := r.q.Cell.LookPath("node", nil)
	if p == "" {
		return Program{}, fmt.Errorf("%s needs Node.js %d, and there is no node in the runner's PATH: install it", st.s.Uses.Text, wanted)
	}
	return Program{Path: p}, nil
}

// registerPost puts the action's post on the stack, once for each use.
func (st *stepRun) registerPost(in *instance) {
	r := st.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case in.post != nil:
		in.post.in = st.sc
	case in.action.Post != "":
		in.post = &post{st.s, in, st.sc}
		r.posts = append(r.posts, in.post)
	}
}

// part runs the pre or the post of a JavaScript action.
func (r *runner) part(ctx context.Context, sc *scope, s *workflows.Step, in *instance, ph phase, script string) {
	st := r.newStep(s, sc, ph)
	st.more = ph == phasePre
	st.action.Store(in.action)
	if !st.ready() {
		return
	}
	if ph == phasePre {
		st.registerPost(in)
	}
	st.finish(st.guard(ctx, func(ctx context.Context) Conclusion {
		inputs, err := st.inputs(in.action)
		if err != nil {
			st.fail("%v", err)
			return Failure
		}
		return st.node(ctx, in, script, inputs)
	}))
}

// pre runs the pre of every action that is not local, in the order of the steps;
// those in a composite action too.
func (r *runner) pre(ctx context.Context, list []*workflows.Step, sc *scope) {
	for _, s := range list {
		r.pre(ctx, s.Parallel, sc)
		if s.Kind != workflows.UsesStep || local(s.Uses.Text) || r.shutdown() {
			continue
		}
		a, err := r.load(ctx, s, sc.action)
		if err != nil {
			continue // loadAll has it
		}
		in := r.instanceOf(sc, s)
		in.action = a
		switch {
		case a.Using == Composite:
			st := r.newStep(s, sc, phasePre)
			st.action.Store(a)
			own, err := r.evalMap(s.Env, st.view())
			if err != nil {
				continue // its main says so
			}
			st.own = own
			inputs, err := st.inputs(a)
			if err != nil {
				continue
			}
			r.pre(ctx, a.Steps, st.inner(in, inputs))
		case a.Pre != "":
			r.part(ctx, sc, s, in, phasePre, a.Pre)
		}
	}
}

// inner is the scope of the steps of a composite action.
func (st *stepRun) inner(in *instance, inputs []Variable) *scope {
	id := st.sc.prefix + st.s.ID
	return &scope{
		prefix: id + "/", inputs: textObject(inputs), contexts: actionContexts(),
		env: slices.Concat(st.sc.env, st.own), action: in.action, uses: in.children, mounts: slices.Concat(st.sc.mounts, in.action.Mounts), depth: st.sc.depth + 1,
		status: Success, results: map[string]*stepRecord{},
	}
}

// composite runs the steps of a composite action.
func (st *stepRun) composite(ctx context.Context, in *instance, inputs []Variable) Conclusion {
	r := st.r
	if st.sc.depth >= deepest {
		st.fail("Composite action depth exceeded max depth %d", deepest)
		return Failure
	}
	sc := st.inner(in, inputs)
	for _, s := range in.action.Steps {
		if s.Kind == workflows.RunStep && s.Shell == nil {
			st.fail("%s: Required property is missing: shell", st.s.Uses.Text)
			return Failure
		}
	}
	r.steps(ctx, in.action.Steps, sc)
	r.waitAll(sc)
	r.mu.Lock()
	outcome := sc.status
	r.mu.Unlock()
	v := view{sc: sc, env: r.globals(sc), step: st}
	seen := map[string]string{}
	for _, o := range in.action.Outputs {
		value, err := r.evalString(o.Value, v)
		if err != nil {
			st.fail("output '%s': %v", o.Name, err)
			outcome = Failure
			continue
		}
		seen[o.Name] = value
	}
	st.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		st.effects.outputs = append(st.effects.outputs, Variable{name, seen[name]})
	}
	st.mu.Unlock()
	return outcome
}
