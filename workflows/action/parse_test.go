// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/action"
)

func parse(t *testing.T, text string) *action.Manifest {
	t.Helper()
	m, problems := action.Parse("a/action.yml", text)
	for _, e := range problems.Errors {
		t.Fatal(e)
	}
	return m
}

// The texts are those of actions/runner, ActionManifestManager.cs at 258d6c85; with a
// place where the runner gives one.
func TestParseErrors(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{
			"no runs", "name: x\n",
			"Top level 'runs:' section is required for a/action.yml",
		},
		{
			"no using", "runs:\n  steps: []\n",
			"Missing 'using' value. 'using' requires 'composite', 'docker', 'node12', 'node16', 'node20' or 'node24'.",
		},
		{
			"only using", "runs:\n  using: node20\n",
			"a/action.yml (Line: 2, Col: 3): There's not enough info to determine what you meant. Add one of these properties: args, entrypoint, env, image, main, post, post-entrypoint, pre, pre-entrypoint, steps",
		},
		{
			"unknown using", "runs: {using: node18, main: x.js}\n",
			"Specified argument was out of the range of valid values. (Parameter ''using: node18' is not supported, use 'docker', 'node12', 'node16', 'node20' or 'node24' instead.')",
		},
		{
			"node without main", "runs: {using: node20, post: x.js}\n",
			"Value cannot be null. (Parameter 'You are using a JavaScript Action but there is not an entry JavaScript file provided in a/action.yml.')",
		},
		{
			"docker without image", "runs: {using: docker, args: []}\n",
			"Value cannot be null. (Parameter 'You are using a Container Action but an image is not provided in a/action.yml.')",
		},
		{
			"image that is neither", "runs: {using: docker, image: alpine}\n",
			"'alpine' should be either '[path]/Dockerfile' or 'docker://image[:tag]'.",
		},
		{
			"key of another kind", "runs:\n  using: node20\n  main: x.js\n  steps: []\n",
			"a/action.yml (Line: 4, Col: 3): Unexpected value 'steps'",
		},
		{
			"run without shell", "runs:\n  using: composite\n  steps:\n    - run: x\n",
			"a/action.yml (Line: 4, Col: 7): Required property is missing: shell",
		},
		{
			"step of no kind", "runs:\n  using: composite\n  steps:\n    - name: x\n",
			"a/action.yml (Line: 4, Col: 7): There's not enough info to determine what you meant. Add one of these properties: run, shell, uses, with, working-directory",
		},
		{
			"step with timeout", "runs:\n  using: composite\n  steps:\n    - run: x\n      shell: sh\n      timeout-minutes: 1\n",
			"a/action.yml (Line: 6, Col: 7): Unexpected value 'timeout-minutes'",
		},
		{
			"background step", "runs:\n  using: composite\n  steps:\n    - run: x\n      shell: sh\n      background: true\n",
			"a/action.yml (Line: 6, Col: 7): Unexpected value 'background'",
		},
		{
			"uses that is none", "runs:\n  using: composite\n  steps:\n    - uses: checkout@v4\n",
			"a/action.yml (Line: 4, Col: 13): Expected format {org}/{repo}[/path]@ref. Actual 'checkout@v4'",
		},
		{
			"id twice", "runs:\n  using: composite\n  steps:\n    - {id: a, run: x, shell: sh}\n    - {id: A, run: x, shell: sh}\n",
			"a/action.yml (Line: 5, Col: 12): The identifier 'A' may not be used more than once within the same scope.",
		},
		{
			"secrets in a step", "runs:\n  using: composite\n  steps:\n    - run: ${{ secrets.x }}\n      shell: sh\n",
			"a/action.yml (Line: 4, Col: 12): Unrecognized named-value: 'secrets'. Located at position 1 within expression: secrets.x",
		},
		{
			"inputs in a default", "inputs:\n  x:\n    default: ${{ inputs.y }}\nruns: {using: node20, main: x}\n",
			"a/action.yml (Line: 3, Col: 14): Unrecognized named-value: 'inputs'. Located at position 1 within expression: inputs.y",
		},
		{
			"github in env of docker", "runs:\n  using: docker\n  image: Dockerfile\n  env:\n    A: ${{ github.sha }}\n",
			"a/action.yml (Line: 5, Col: 8): Unrecognized named-value: 'github'. Located at position 1 within expression: github.sha",
		},
		{
			"expression in main", "runs: {using: node20, main: '${{ true }}'}\n",
			"a/action.yml (Line: 1, Col: 29): A template expression is not allowed in this context",
		},
		{
			"expression in pre-if", "runs: {using: node20, main: x, pre-if: '${{ always() }}'}\n",
			"a/action.yml (Line: 1, Col: 40): Unrecognized function: 'always'. Located at position 1 within expression: always()",
		},
		{
			"deprecation that is a number", "inputs:\n  x:\n    deprecationMessage: 1\nruns: {using: node20, main: x}\n",
			"Unexpected type 'NumberToken' encountered while reading 'input deprecationMessage'. The type 'StringToken' was expected.",
		},
		{
			"input that is a text", "inputs:\n  x: y\nruns: {using: node20, main: x}\n",
			"a/action.yml (Line: 2, Col: 6): Unexpected value 'y'",
		},
		{
			"output with an unknown key", "outputs:\n  x:\n    default: y\nruns: {using: node20, main: x}\n",
			"a/action.yml (Line: 3, Col: 5): Unexpected value 'default'",
		},
		{
			"key twice", "name: a\nNAME: b\nruns: {using: node20, main: x}\n",
			"a/action.yml (Line: 2, Col: 1): 'NAME' is already defined",
		},
		{
			"alias", "name: &a x\ndescription: *a\nruns: {using: node20, main: x}\n",
			"a/action.yml: Anchors are not currently supported. Remove the anchor 'a'",
		},
		{
			"no mapping", "- x\n",
			"a/action.yml (Line: 1, Col: 1): A sequence was not expected",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, problems := action.Parse("a/action.yml", tt.text)
			if m != nil || len(problems.Errors) == 0 {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(tt.want, problems.Errors[0].Error()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if e := problems.Errors[0]; e.File == "" || e.Line == 0 && !strings.Contains(e.Error(), "Anchors") {
				t.Errorf("no place: %q line %d", e.File, e.Line)
			}
		})
	}
}

func TestParse(t *testing.T) {
	m := parse(t, `
name: Say hello
description: d
author: nobody
branding: {icon: x}
inputs:
  who to greet:
    description: whom
    required: true
    type: string
    default: ${{ github.actor }}
  times: {default: 3, required: "false"}
  old: {deprecationMessage: use new}
outputs:
  greeting: {description: what was said, value: "${{ steps.say.outputs.text }}"}
runs:
  using: Composite
  steps:
    - run: echo
      id: say
      shell: bash
      if: runner.os == 'Linux'
      working-directory: sub
      continue-on-error: true
      env: {A: 1}
    - uses: ./x
      with: {a: "${{ inputs.times }}"}
    - uses: a/b@v1
    - uses: docker://alpine
`)
	in := m.Inputs
	if len(in) != 3 || in[0].Name != "who to greet" || !in[0].Required || in[0].Default.Text != "github.actor" || in[0].Description != "whom" ||
		in[1].Default.Text != "3" || in[1].Required || in[2].Default != nil || in[2].Deprecation != "use new" {
		t.Errorf("inputs: %+v", in)
	}
	if o := m.Outputs; len(o) != 1 || o[0].Name != "greeting" || o[0].Value.Text != "steps.say.outputs.text" {
		t.Errorf("outputs: %+v", o)
	}
	if m.Runs.Kind != action.Composite || m.Runs.PreIf != "always()" {
		t.Errorf("runs: %+v", m.Runs)
	}
	s := m.Runs.Steps
	var got []string
	for _, s := range s {
		got = append(got, string(s.Kind)+" "+s.ID+" "+s.If.Text)
	}
	want := []string{"run say success() && (runner.os == 'Linux')", "uses __self success()", "uses __a_b success()", "uses __alpine success()"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got)\n%s", diff)
	}
	if s[0].Kind != workflows.RunStep || s[0].Shell.Text != "bash" || s[0].Env.Get("A").Text != "1" || !s[0].ContinueOnError.Bool {
		t.Errorf("step: %+v", s[0])
	}
}

func TestConditionThatWillFail(t *testing.T) {
	m, problems := action.Parse("action.yml", "runs:\n  using: node20\n  main: x.js\n  post: y.js\n  post-if: secrets.x\n")
	if m == nil || m.Runs.PostIf != "secrets.x" {
		t.Fatalf("refused: %v", problems.Errors)
	}
	if w := problems.Warnings; len(w) != 1 || w[0].Line != 5 || w[0].Col != 12 || !strings.Contains(w[0].Message, "Unrecognized named-value: 'secrets'") {
		t.Errorf("warnings: %+v", w)
	}
}

func TestNodeVersion(t *testing.T) {
	tests := []struct {
		using   string
		env     map[string]string
		want    int
		warning bool
	}{
		{"node12", nil, 24, false},
		{"node16", map[string]string{action.AllowNode20: "true"}, 20, false},
		{"NODE20", nil, 24, false},
		{"node20", map[string]string{action.AllowNode20: "TRUE"}, 20, false},
		{"node20", map[string]string{action.AllowNode20: "1"}, 24, false},
		{"node20", map[string]string{action.AllowNode20: "true", action.ForceNode24: "true"}, 24, true},
		{"node24", map[string]string{action.AllowNode20: "true"}, 24, false},
	}
	for _, tt := range tests {
		m := parse(t, "runs: {using: "+tt.using+", main: x.js}\n")
		got, warning := m.Runs.NodeVersion(func(n string) string { return tt.env[n] })
		if got != tt.want || (warning != "") != tt.warning {
			t.Errorf("%s %v: %d %q", tt.using, tt.env, got, warning)
		}
	}
	if got, _ := parse(t, "runs: {using: docker, image: Dockerfile}\n").Runs.NodeVersion(func(string) string { return "" }); got != 0 {
		t.Errorf("docker: %d", got)
	}
}
