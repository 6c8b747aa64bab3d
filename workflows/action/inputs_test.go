// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

func object(members ...string) *expr.Object {
	var list []expr.Member
	for i := 0; i < len(members); i += 2 {
		list = append(list, expr.Member{Name: members[i], Value: expr.String(members[i+1])})
	}
	return expr.NewObject(list...)
}

// with is the with of a step, evaluated.
func with(t *testing.T, yaml string, env expr.Env) ([]action.Value, error) {
	t.Helper()
	wf, problems := workflows.Parse("ci.yml", "on: push\njobs: {j: {runs-on: x, steps: [{uses: ./a, with: "+yaml+"}]}}\n", workflows.Options{})
	if wf == nil {
		t.Fatal(problems.Errors)
	}
	return action.EvalMapping(wf.Jobs[0].Steps[0].With, syntax.Allowed("step-with"), env)
}

func TestResolve(t *testing.T) {
	const node = `
inputs:
  who to greet: {required: true}
  token: {default: "${{ github.token }}"}
  old: {deprecationMessage: use new}
  A.b-c: {default: false}
runs: {using: node20, main: x.js}
`
	const docker = "inputs: {x: {}}\nruns: {using: docker, image: Dockerfile}\n"
	tests := []struct {
		name, manifest, with        string
		environ, warnings, required []string
	}{
		{
			name: "defaults", manifest: node, with: "{}",
			environ:  []string{"INPUT_WHO_TO_GREET=", "INPUT_TOKEN=t", "INPUT_OLD=", "INPUT_A.B-C=false"},
			required: []string{"who to greet"},
		},
		{
			name: "what is given stays, empty too, and its order", manifest: node, with: "{TOKEN: '', Who To Greet: 'ß ${{ github.token }}'}",
			environ: []string{"INPUT_TOKEN=", "INPUT_WHO_TO_GREET=ß t", "INPUT_OLD=", "INPUT_A.B-C=false"},
		},
		{
			name: "unknown", manifest: node, with: "{who to greet: 1.50, x: true, y: '${{ null }}'}",
			environ:  []string{"INPUT_WHO_TO_GREET=1.5", "INPUT_X=true", "INPUT_Y=", "INPUT_TOKEN=t", "INPUT_OLD=", "INPUT_A.B-C=false"},
			warnings: []string{"Unexpected input(s) 'x', 'y', valid inputs are ['who to greet', 'token', 'old', 'A.b-c']"},
		},
		{
			name: "deprecated", manifest: node, with: "{old: 1, who to greet: 1}",
			environ:  []string{"INPUT_OLD=1", "INPUT_WHO_TO_GREET=1", "INPUT_TOKEN=t", "INPUT_A.B-C=false"},
			warnings: []string{"Input 'old' has been deprecated with message: use new"},
		},
		{
			name: "deprecated in another case is not noticed, as by the runner", manifest: node, with: "{OLD: 1, who to greet: 1}",
			environ: []string{"INPUT_OLD=1", "INPUT_WHO_TO_GREET=1", "INPUT_TOKEN=t", "INPUT_A.B-C=false"},
		},
		{
			name: "docker takes args and entryPoint", manifest: docker, with: "{args: a, entrypoint: /b, z: 1}",
			environ:  []string{"INPUT_ARGS=a", "INPUT_ENTRYPOINT=/b", "INPUT_Z=1", "INPUT_X="},
			warnings: []string{"Unexpected input(s) 'z', valid inputs are ['entryPoint', 'args', 'x']"},
		},
		{
			name: "an image takes all", with: "{z: 1}",
			environ: []string{"INPUT_Z=1"},
		},
		{
			name: "two names, one variable", manifest: docker, with: "{a b: 1, a_b: 2, x: 3}",
			environ:  []string{"INPUT_A_B=2", "INPUT_X=3"},
			warnings: []string{"Unexpected input(s) 'a b', 'a_b', valid inputs are ['entryPoint', 'args', 'x']"},
		},
		{
			name: "inserted", manifest: docker, with: `{x: 1, '${{ insert }}': '${{ fromJSON(''{"X": 2, "args": "q"}'') }}'}`,
			environ: []string{"INPUT_X=2", "INPUT_ARGS=q"},
		},
		{
			name: "a key that is an expression", manifest: docker, with: `{'${{ github.token }}x': 1, x: 2}`,
			environ:  []string{"INPUT_TX=1", "INPUT_X=2"},
			warnings: []string{"Unexpected input(s) 'tx', valid inputs are ['entryPoint', 'args', 'x']"},
		},
	}
	env := expr.Env{Contexts: expr.Values{"github": object("token", "t")}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m *action.Manifest
			if tt.manifest != "" {
				m = parse(t, tt.manifest)
			}
			given, err := with(t, tt.with, env)
			if err != nil {
				t.Fatal(err)
			}
			in, err := m.Resolve(given, env)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.environ, in.Environ()); diff != "" {
				t.Errorf("environment (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, in.Warnings); diff != "" {
				t.Errorf("warnings (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.required, in.Missing); diff != "" {
				t.Errorf("missing (-want +got)\n%s", diff)
			}
		})
	}
}

func TestResolveErrors(t *testing.T) {
	m := parse(t, "inputs:\n  x:\n    default: ${{ fromJSON('{') }}\nruns: {using: node20, main: x.js}\n")
	_, err := m.Resolve(nil, expr.Env{})
	if e, ok := errors.AsType[*action.EvalError](err); !ok || e.Pos.Line != 3 || e.Pos.Col != 14 || m.File(e.Pos) != "a/action.yml" || !strings.Contains(err.Error(), "input 'x'") {
		t.Errorf("default: %v", err)
	}
	if _, err := with(t, `{x: "${{ fromJSON('[1]') }}"}`, expr.Env{}); err == nil || !strings.Contains(err.Error(), "A sequence was not expected") {
		t.Errorf("array: %v", err)
	}
	if _, err := with(t, `{x: "${{ fromJSON('{}') }}"}`, expr.Env{}); err == nil || !strings.Contains(err.Error(), "A mapping was not expected") {
		t.Errorf("object: %v", err)
	}
}

func TestDocker(t *testing.T) {
	m := parse(t, `
inputs: {a: {default: x y}, list: {default: '["p", 1]'}}
runs:
  using: docker
  image: docker://alpine:3
  args: ["-c", "${{ inputs.a }}", "${{ fromJSON(inputs.list) }}", "", 7]
  env: {A: "<${{ inputs.A }}>", B: true}
`)
	if image, ok := m.Runs.ImageRef(); !ok || image != "alpine:3" {
		t.Errorf("image %q", image)
	}
	in, err := m.Resolve(nil, expr.Env{})
	if err != nil {
		t.Fatal(err)
	}
	args, ok, err := m.DockerArgs(in)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if diff := cmp.Diff([]string{"-c", "x y", "p", "1", "", "7"}, args); diff != "" {
		t.Errorf("args (-want +got)\n%s", diff)
	}
	env, err := m.DockerEnv(in)
	if diff := cmp.Diff([]action.Value{{Name: "A", Text: "<x y>"}, {Name: "B", Text: "true"}}, env); diff != "" || err != nil {
		t.Errorf("env %v (-want +got)\n%s", err, diff)
	}
	if _, ok, err := parse(t, "runs: {using: docker, image: sub/Dockerfile.dev}\n").DockerArgs(in); ok || err != nil {
		t.Error("a manifest without args has some", err)
	}
}

func TestOutputs(t *testing.T) {
	m := parse(t, `
outputs:
  a: {value: "${{ steps.s.outputs.x }}-${{ inputs.i }}"}
  b: {description: none}
  c: {value: 1.50}
runs: {using: composite, steps: []}
`)
	in, err := m.Resolve([]action.Value{{Name: "I", Text: "v"}}, expr.Env{})
	if err != nil {
		t.Fatal(err)
	}
	steps := expr.NewObject(expr.Member{Name: "s", Value: expr.NewObject(expr.Member{Name: "outputs", Value: object("x", "1")})})
	got, err := m.EvalOutputs(expr.Env{Contexts: expr.Values{"steps": steps, "inputs": in.Context()}})
	if diff := cmp.Diff([]action.Value{{Name: "a", Text: "1-v"}, {Name: "c", Text: "1.5"}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}
