// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// expectation is an entry of github-runner/manifests/expected.json.
type expectation struct {
	File, Error, Name, Kind, Image, Entrypoint, Main, Plugin, NodeVersion string

	Inputs        map[string]string
	Args          []string
	Env           map[string]string
	Pre, Post     *string
	PreIf, PostIf string
	Steps         int
	Conditions    []string
	Deprecated    map[string]string
}

func TestRunnerManifests(t *testing.T) {
	dir := testenv.Conformance(t, "github-runner")
	data, err := os.ReadFile(filepath.Join(dir, "manifests", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []expectation
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, want := range list {
		t.Run(filepath.Base(want.File), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, want.File))
			if err != nil {
				t.Fatal(err)
			}
			m, problems := action.Parse(want.File, string(text))
			if want.Error != "" {
				checkError(t, want.Error, m, problems.Errors)
				return
			}
			if m == nil {
				t.Fatal(problems.Errors)
			}
			checkManifest(t, want, m)
		})
	}
	t.Logf("%d manifests", len(list))
}

func checkError[E error](t *testing.T, want string, m *action.Manifest, errs []E) {
	t.Helper()
	if m != nil || len(errs) == 0 {
		t.Fatalf("accepted; want %s", want)
	}
	got := errs[0].Error()
	if rest, ok := strings.CutPrefix(want, "template error: context "); ok { // the set's own words
		name, _, _ := strings.Cut(rest, " ")
		want = "Unrecognized named-value: '" + name + "'"
	}
	if !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func checkManifest(t *testing.T, want expectation, m *action.Manifest) {
	t.Helper()
	inputs := map[string]string{}
	var deprecated map[string]string
	for _, i := range m.Inputs {
		if inputs[i.Name] = i.Default.String(); i.Deprecation != "" {
			deprecated = map[string]string{i.Name: i.Deprecation}
		}
	}
	diff := func(what string, want, got any) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", what, d)
		}
	}
	r := m.Runs
	diff("name", want.Name, m.Name)
	if want.Inputs != nil {
		diff("inputs", want.Inputs, inputs)
	}
	diff("kind", want.Kind, string(r.Kind))
	diff("image", want.Image, r.Image)
	diff("entrypoint", want.Entrypoint, r.Entrypoint)
	diff("main", want.Main, r.Main)
	diff("plugin", want.Plugin, r.Plugin)
	if want.NodeVersion != "" {
		diff("using", want.NodeVersion, r.Using)
		diff("deprecated", want.Deprecated, deprecated)
	}
	diff("steps", want.Steps, len(r.Steps))
	orEmpty := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	diff("pre", orEmpty(want.Pre), r.Pre)
	diff("post", orEmpty(want.Post), r.Post)
	if want.PreIf != "" {
		diff("pre-if", want.PreIf, r.PreIf)
		diff("post-if", want.PostIf, r.PostIf)
	}
	var args, conditions []string
	if r.Args != nil {
		for _, a := range r.Args.Items {
			args = append(args, a.String())
		}
	}
	for _, s := range r.Steps {
		conditions = append(conditions, s.If.Text)
	}
	diff("args", want.Args, args)
	diff("conditions", want.Conditions, conditions)
	env := map[string]string{}
	if r.Env != nil {
		for _, p := range r.Env.Pairs {
			env[p.Key.Text] = p.Value.String()
		}
	}
	if want.Env != nil || len(env) > 0 {
		diff("env", want.Env, env)
	}
}

// TestActManifests reads the actions of the act set: what runs there must be readable.
func TestActManifests(t *testing.T) {
	dir := filepath.Join(testenv.Conformance(t, "act"), "data")
	kinds := map[action.Kind]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != "action.yml" && d.Name() != "action.yaml" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		m, problems := action.Parse(name, string(text))
		if m == nil {
			t.Errorf("%s: %v", name, problems.Errors)
			return nil
		}
		kinds[m.Runs.Kind]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if kinds[action.Composite] == 0 || kinds[action.Node] == 0 || kinds[action.Docker] == 0 {
		t.Errorf("read %v", kinds)
	}
	t.Logf("read %v", kinds)
}

// scripts are the run steps of a workflow of the act set, one for each job at most, and the
// steps after them.
func scripts(t *testing.T, dir, name string) (list []string, after []*workflows.Step) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	wf, problems := workflows.Parse(name, string(text), workflows.Options{})
	if wf == nil {
		t.Fatal(problems.Errors)
	}
	for _, j := range wf.Jobs {
		if len(j.Steps) > 1 {
			list, after = append(list, j.Steps[0].Run.Text), append(after, j.Steps[1])
		}
	}
	return list, after
}

// TestActCases are the cases that are about what a manifest says, and whose manifests are
// written by a step.
func TestActCases(t *testing.T) {
	dir := filepath.Join(testenv.Conformance(t, "act"), "data")
	refused := func(name, text string, want ...string) {
		t.Helper()
		m, problems := action.Parse("action.yml", text)
		var got []string
		for _, e := range problems.Errors {
			got = append(got, e.Error())
		}
		if diff := cmp.Diff(want, got); diff != "" || m != nil {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	invalid, _ := scripts(t, dir, "no-panic-on-invalid-composite-action/push.yml")
	refused("invalid step", invalid[0],
		"action.yml (Line: 4, Col: 5): There's not enough info to determine what you meant. Add one of these properties: run, shell, uses, with, working-directory",
		"Unexpected type '' encountered while reading 'steps item uses'. The type 'StringToken' was expected.")
	refused("missing steps", invalid[1],
		"action.yml (Line: 2, Col: 3): There's not enough info to determine what you meant. Add one of these properties: args, entrypoint, env, image, main, post, post-entrypoint, pre, pre-entrypoint, steps",
		"Value cannot be null. (Parameter 'You are using a composite action but there are no steps provided in action.yml.')")

	shell, _ := scripts(t, dir, "own/composite-shell-required.yml")
	_, text, _ := strings.Cut(shell[0], "printf '")
	text, _, _ = strings.Cut(text, "'")
	refused("shell", strings.ReplaceAll(text, `\n`, "\n"), "action.yml (Line: 6, Col: 7): Required property is missing: shell")

	scalar, _ := scripts(t, dir, "workflow_dispatch-scalar-composite-action/workflow_dispatch.yml")
	if m := parse(t, scalar[0]); len(m.Runs.Steps) != 1 || m.Runs.Steps[0].Run.Text != "exit 0\n" {
		t.Errorf("scalar: %+v", m.Runs)
	}

	node, steps := scripts(t, dir, "own/node-action.yml")
	_, text, _ = strings.Cut(node[0], "<<'E'\n")
	text, _, _ = strings.Cut(text, "E\n")
	m := parse(t, text)
	given, err := action.EvalMapping(steps[0].With, syntax.Allowed("step-with"), expr.Env{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := m.Resolve(given, expr.Env{})
	if diff := cmp.Diff([]string{"INPUT_MY-KEY=v", "INPUT_SP_ACE=d2"}, in.Environ()); diff != "" || err != nil || m.Runs.Post != "p.js" {
		t.Errorf("node: %v %v (-want +got)\n%s", err, m.Runs, diff)
	}
}
