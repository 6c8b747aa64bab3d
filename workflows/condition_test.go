// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"strings"
	"testing"

	"github.com/zviz/run/workflows"
)

func TestConditionWarning(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"an expression", "${{ github.ref == 'x' }}", false},
		{"no marks", "github.ref == 'x'", false},
		{"text around", "${{ github.ref }} == 'x'", true},
		{"an own format", "${{ format('{0}-y', github.ref) == 'x-y' }}", false},
		{"an own format, nothing else", "format('{0}', github.ref)", false},
		{"two expressions, no text", "${{ github.ref }}${{ github.sha }}", false},
		{"a block with its line break", "|\n          ${{ github.ref == 'x' }}", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text
			if !strings.HasPrefix(text, "|") {
				text = "\"" + text + "\""
			}
			wf, p := workflows.Parse("f.yml", "on: push\njobs:\n  j:\n    runs-on: x\n    steps:\n      - run: y\n        if: "+text+"\n", workflows.Options{})
			if wf == nil {
				t.Fatal(p.Errors[0])
			}
			got := len(p.Warnings) == 1 && strings.Contains(p.Warnings[0].Message, "always true")
			if got != tt.want || len(p.Warnings) > 1 {
				t.Errorf("warnings %v, want one %v", p.Warnings, tt.want)
			}
		})
	}
}

// TestConditionHint: a name of the language that a place does not have.
func TestConditionHint(t *testing.T) {
	const inStep = "steps: [{run: y, if: \"CONDITION\"}]"
	for _, tt := range []struct{ name, job, want string }{
		{"env of a job", "if: \"env.X == 'y'\", steps: [{run: y}]", "env cannot be used in this place, only github, inputs, needs, vars"},
		{"the same with marks", "if: \"${{ ENV.X == 'y' }}\", steps: [{run: y}]", "env cannot be used in this place, only github, inputs, needs, vars"},
		{"secrets of a step", strings.Replace(inStep, "CONDITION", "secrets.X != ''", 1), "secrets cannot be used in this place, only env, github, inputs, job, matrix, needs, runner, steps, strategy, vars"},
		{"a function", "if: \"hashfiles('a') != ''\", steps: [{run: y}]", "hashFiles() cannot be used in this place"},
		{"a slip", strings.Replace(inStep, "CONDITION", "githb.ref == 'x'", 1), "did you mean \"github\"?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, p := workflows.Parse("f.yml", "on: push\njobs: {j: {runs-on: x, "+tt.job+"}}\n", workflows.Options{})
			if len(p.Errors) != 1 || p.Errors[0].Hint() != tt.want {
				t.Errorf("%v, hint %q, want %q", p.Errors, p.Errors[0].Hint(), tt.want)
			}
		})
	}
}
