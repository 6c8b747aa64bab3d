// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"

	"github.com/zviz/run/workflows/plan"
)

type scene struct{ name, source, jobs, script string }

func playAll(t *testing.T, files map[string]string, scenes []scene) {
	t.Helper()
	for _, tt := range scenes {
		t.Run(tt.name, func(t *testing.T) {
			play(t, newPlan(t, jobs(tt.jobs), files, plan.Options{Event: plan.Event{Ref: "refs/heads/main"}}), tt.script)
		})
	}
}

// Sources: "docs" is docs.github.com (Workflow syntax; Expressions, status check
// functions; Cancelling a workflow run), a number is an issue of actions/runner.
func TestNeeds(t *testing.T) {
	playAll(t, nil, []scene{
		{
			"the order of the file", "docs", "b: {needs: a}\n a: {}\n c: {}", `
			ready a c
			finish a success
			ready b c
			finish c success
			finish b success
			done success`,
		},
		{
			"names ignore case", "docs", "a: {}\n b: {needs: A}", `
			ready a
			finish a success
			ready b`,
		},
		{
			"a failure skips what needs it", "docs", "a: {}\n b: {needs: a}\n c: {needs: b}", `
			finish a failure
			is b skipped
			is c skipped
			done failure`,
		},
		{
			"failure looks at all ancestors", "docs", "a: {}\n b: {needs: a, if: always()}\n c: {needs: b, if: failure()}\n d: {needs: b}", `
			finish a failure
			finish b success
			ready c
			is d skipped`,
		},
		{
			"a skipped ancestor skips over one that ran", "491 and 2205", "a: {if: false}\n b: {needs: a, if: always()}\n c: {needs: b}", `
			is a skipped
			finish b success
			is c skipped
			done success`,
		},
		{
			"a job without if is not skipped by its own status function above", "2205", "a: {if: false}\n b: {needs: a, if: always()}\n c: {needs: b, if: '!failure() && !cancelled()'}", `
			finish b success
			ready c`,
		},
		{
			"a status function anywhere replaces success()", "docs", "a: {}\n b: {needs: a, if: \"contains(needs.a.result, 'fail') && always()\"}", `
			finish a failure
			ready b`,
		},
		{
			"status functions with names", "the schema allows them; no documentation", "a: {}\n b: {}\n c: {needs: [a, b], if: success('B')}\n d: {needs: [a, b], if: \"failure('b')\"}", `
			finish a failure
			finish b success
			ready c
			is d skipped`,
		},
		{
			"a skipped job counts as success", "docs", "a: {if: false}\n b: {}", `
			finish b success
			done success`,
		},
		{
			"nothing ran", "aggregate of skipped jobs", "a: {if: false}", "done skipped",
		},
		{
			"outputs and results", "docs", "a: {}\n z: {}\n b: {needs: a}", `
			finish a success v=1 empty=
			eval b needs.a.outputs.v = 1
			eval b toJSON(needs.a.outputs.empty) = null
			eval b needs.a.result = success
			eval b toJSON(needs.z) = null`,
		},
		{
			"a tolerated failure is a success", "1161", "a: {continue-on-error: true}\n b: {needs: a}", `
			finish a failure
			eval b needs.a.result = success
			finish b success
			done success`,
		},
		{
			"a condition that has no value fails the job", "startup checks of GitHub", "a: {if: \"fromJSON('x')\"}\n b: {needs: a, if: failure()}", `
			is a failure
			why a cannot evaluate 'if' of job 'a'
			ready b`,
		},
		{
			"too slow", "docs: the run fails", "a: {}\n b: {needs: a, if: always()}", `
			finish a timeout
			eval b needs.a.result = cancelled
			finish b success
			done failure`,
		},
	})
}

func TestMatrix(t *testing.T) {
	playAll(t, nil, []scene{
		{
			"max-parallel", "docs", "a: {strategy: {max-parallel: 2, matrix: {v: [1, 2, 3]}}}", `
			ready a._1 a._2
			name a._3 a (3)
			is a._3 waiting
			finish a._2 success
			ready a._1 a._3
			eval a._1 strategy.max-parallel = 2
			finish a._1 success
			finish a._3 success
			done success`,
		},
		{
			"fail-fast is the default", "docs", "a: {strategy: {max-parallel: 2, matrix: {v: [1, 2, 3]}}}\n b: {needs: a, if: always()}", `
			start a._1 a._2
			finish a._1 failure
			stops a._2
			stops
			is a._3 cancelled
			is a._2 running
			finish a._2 cancelled
			eval b needs.a.result = failure`,
		},
		{
			"no fail-fast", "docs", "a: {strategy: {fail-fast: false, max-parallel: 1, matrix: {v: [1, 2]}}}", `
			finish a._1 failure
			ready a._2
			finish a._2 success
			done failure`,
		},
		{
			"a tolerated failure does not cancel", "docs, jobs.J.continue-on-error", "a: {continue-on-error: '${{ matrix.v == 1 }}', strategy: {max-parallel: 1, matrix: {v: [1, 2, 3]}}}\n b: {needs: a, if: always()}", `
			finish a._1 failure
			ready a._2
			finish a._2 failure
			is a._3 cancelled
			eval b needs.a.result = failure`,
		},
		{
			"from the outputs of a need", "docs", "a: {}\n b: {needs: a, strategy: {matrix: '${{ fromJSON(needs.a.outputs.m) }}', max-parallel: '${{ fromJSON(needs.a.outputs.n) }}'}}", `
			finish a success n=1 m={"k":[1,2],"include":[{"k":3,"w":"z"}]}
			ready b._1
			eval b._1 toJSON(matrix.w) = null
			finish b._1 success
			finish b._2 success
			eval b._3_z matrix.w = z
			name b._3_z b (3, z)`,
		},
		{
			"the last that sets an output wins", "docs", "a: {strategy: {matrix: {v: [1, 2, 3]}}}\n b: {needs: a}", `
			finish a._3 success x=3 y=3
			finish a._1 success x=1
			finish a._2 success x=
			eval b needs.a.outputs.x = 1
			eval b needs.a.outputs.Y = 3`,
		},
		{
			"the strategy context", "docs", "a: {strategy: {matrix: {v: [1, 2]}}}\n b: {}", `
			eval a._2 format('{0} {1} {2} {3}', strategy.fail-fast, strategy.job-index, strategy.job-total, strategy.max-parallel) = true 1 2 2
			eval b format('{0} {1} {2} {3}', strategy.fail-fast, strategy.job-index, strategy.job-total, strategy.max-parallel) = true 0 1 1
			eval b toJSON(matrix) = null`,
		},
		{
			"all cells excluded", "MatrixBuilder.cs: one job without a matrix", "a: {strategy: {matrix: {v: [1], exclude: [{v: 1}]}}}", `
			ready a
			name a a`,
		},
		{
			"names", "JobNameBuilder of the converter", "a: {name: 'V ${{ matrix.v }}', strategy: {matrix: {v: [1, 2]}}}\n b: {name: B, strategy: {matrix: {v: [1, 2]}}}\n c: {name: \"${{ matrix.w }}\", strategy: {matrix: {v: [1]}}}", `
			name a._1 V 1
			name b._2 B (2)
			name c._1 c (1)`,
		},
		{
			"the condition is asked before the matrix", "docs", "a: {if: false, strategy: {matrix: {v: [1, 2]}}}", `
			is a skipped
			done skipped`,
		},
		{
			"not a matrix", "GitHub's words", "z: {}\n a: {needs: z, strategy: {matrix: '${{ fromJSON(needs.z.outputs.m) }}'}}", `
			finish z success m=[]
			is a failure
			why a A sequence was not expected
			why a .github/workflows/ci.yml (Line: 4, Col:
			done failure`,
		},
		{
			"an empty vector", "MatrixBuilder.cs", "z: {}\n a: {needs: z, strategy: {matrix: {v: '${{ fromJSON(needs.z.outputs.m) }}'}}}", `
			finish z success m=[]
			why a Matrix vector 'v' does not contain any values`,
		},
		{
			"too many", "docs: 256", "z: {}\n a: {needs: z, strategy: {matrix: {v: '${{ fromJSON(needs.z.outputs.m) }}', w: '${{ fromJSON(needs.z.outputs.m) }}'}}}", `
			finish z success m=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]
			why a more than the 256 jobs`,
		},
	})
}

const callee = `
on:
  workflow_call:
    inputs:
      n: {type: number, required: true}
      s: {type: string, default: '${{ github.ref_name }}'}
      b: {type: boolean}
    secrets:
      tok: {required: false}
    outputs:
      o: {value: '${{ jobs.j.outputs.o }}-${{ inputs.n }}'}
env: {E: inner}
jobs:
  j:
    name: J
    runs-on: x
    steps: [{run: x}]
  k:
    needs: j
    runs-on: x
    steps: [{run: x}]
`

func TestCall(t *testing.T) {
	files := map[string]string{
		"./.github/workflows/c.yml": callee,
		"./.github/workflows/d.yml": "on: workflow_call\njobs:\n  e: {uses: ./.github/workflows/c.yml, with: {n: 2}}\n",
		"./.github/workflows/g.yml": "on: workflow_call\nconcurrency: G\njobs:\n  e: {runs-on: x, steps: [{run: x}]}\n",
		"./.github/workflows/h.yml": "on: workflow_call\njobs:\n  e: {runs-on: x, steps: [{run: x}], concurrency: h}\n",
		"./.github/workflows/i.yml": "on: workflow_call\njobs:\n  e: {runs-on: x, steps: [{run: x}], concurrency: g}\n",
	}
	playAll(t, files, []scene{
		{
			"inputs, outputs, names", "docs", "c: {name: C, uses: ./.github/workflows/c.yml, with: {n: 3}}\n a: {needs: c}", `
			ready c.j
			is c running
			name c.j C / J
			eval c.j toJSON(inputs.n) = 3
			eval c.j inputs.s = main
			eval c.j toJSON(inputs.b) = false
			eval c.j github.job = j
			finish c.j success o=got
			is a waiting
			finish c.k success
			eval a needs.c.outputs.o = got-3
			eval a needs.c.result = success
			finish a success
			done success`,
		},
		{
			"nested", "docs", "c: {uses: ./.github/workflows/d.yml}", `
			ready c.e.j
			name c.e.j c / e / J
			finish c.e.j failure
			is c.e.k skipped
			is c.e failure
			done failure`,
		},
		{
			"a matrix of calls fails fast", "docs", "c: {uses: ./.github/workflows/c.yml, strategy: {matrix: {v: [1, 2]}}, with: {n: '${{ matrix.v }}'}}", `
			start c._1.j c._2.j
			finish c._1.j failure
			stops c._2.j
			finish c._2.j cancelled
			is c._2 cancelled
			is c._1 failure
			done failure`,
		},
		{
			"an input of the wrong kind", "GitHub's words", "c: {uses: ./.github/workflows/c.yml, with: {n: '${{ github.ref_name }}'}}", `
			why c Unexpected value 'main'
			done failure`,
		},
		{
			"not at hand", "ours", "c: {uses: o/r/.github/workflows/x.yml@v1}", `
			why c not on this machine
			done failure`,
		},
		{
			"skipped with its condition", "docs", "c: {if: false, uses: ./.github/workflows/c.yml, with: {n: 3}}", `
			is c skipped
			done skipped`,
		},
		{
			"the group of the called file", "docs", "c: {uses: ./.github/workflows/g.yml}\n d: {concurrency: g}", `
			ready c.e
			is d pending
			finish c.e success
			ready d`,
		},
		{
			"a job inside wants the group of its caller", "GitHub's message", "c: {concurrency: H, uses: ./.github/workflows/h.yml}", `
			is c.e cancelled
			why c.e a deadlock for concurrency group 'h' was detected between 'c' and 'c / e'
			done cancelled`,
		},
		{
			"two calls want each other's group", "ours: the run must end", "c: {concurrency: g, uses: ./.github/workflows/h.yml}\n d: {concurrency: h, uses: ./.github/workflows/i.yml}", `
			is c.e cancelled
			is c cancelled
			ready d.e
			finish d.e success
			done cancelled`,
		},
	})
}

func TestConcurrency(t *testing.T) {
	playAll(t, nil, []scene{
		{
			"one at a time, names ignore case", "docs", "a: {concurrency: g1}\n b: {concurrency: G1}", `
			ready a
			is b pending
			finish a success
			ready b
			finish b success
			done success`,
		},
		{
			"a newcomer takes the place of the one that waits", "docs", "a: {concurrency: g}\n b: {concurrency: g}\n c: {concurrency: g}", `
			start a
			is b cancelled
			why b a higher priority waiting request for 'g' exists
			is c pending
			finish a success
			ready c
			finish c success
			done cancelled`,
		},
		{
			"cancel-in-progress", "docs", "a: {concurrency: g}\n z: {}\n b: {needs: z, concurrency: {group: g, cancel-in-progress: true}}", `
			start a
			finish z success
			stops a
			is b pending
			finish a cancelled
			ready b`,
		},
		{
			"cancel-in-progress of one that has not started", "docs", "a: {concurrency: g}\n b: {concurrency: {group: g, cancel-in-progress: true}}", `
			ready b
			is a cancelled`,
		},
		{
			"queue: max", "changelog of 2026-05-07", "a: {concurrency: {group: g, queue: max}}\n b: {concurrency: {group: g, queue: max}}\n c: {concurrency: {group: g, queue: max}}", `
			ready a
			finish a success
			ready b
			finish b success
			ready c`,
		},
		{
			"a group of a matrix", "docs", "a: {concurrency: 'g${{ matrix.v }}', strategy: {matrix: {v: [1, 1, 2]}}}", `
			ready a._1 a._2
			is a._1_2 pending`,
		},
	})
	t.Run("the group of the run", func(t *testing.T) {
		p := newPlan(t, strings.Replace(jobs("a: {concurrency: g}\n b: {}"), "jobs:", "concurrency: {group: 'G', cancel-in-progress: true}\njobs:", 1), nil, plan.Options{})
		if p.Group != (plan.Group{Name: "G", Cancel: true}) {
			t.Errorf("got %v", p.Group)
		}
		play(t, p, "is a cancelled\n why a deadlock for concurrency group 'g' was detected between 'top level workflow' and 'a'\n ready b")
	})
}

func TestCancel(t *testing.T) {
	playAll(t, map[string]string{"./.github/workflows/c.yml": callee}, []scene{
		{
			"jobs whose condition still holds go on", "docs, Workflow cancellation reference", "a: {}\n b: {if: always()}\n c: {}\n d: {needs: a}\n e: {needs: a, if: cancelled()}\n f: {needs: a, if: '!cancelled()'}", `
			start a b
			cancel
			stops a
			is c cancelled
			finish a cancelled
			is d skipped
			is f skipped
			ready e
			finish b success
			finish e success
			done cancelled`,
		},
		{
			"a called workflow", "docs", "c: {uses: ./.github/workflows/c.yml, with: {n: 1}}", `
			start c.j
			cancel
			stops c.j
			finish c.j cancelled
			is c.k skipped
			is c cancelled
			done cancelled`,
		},
		{
			"one that ended well before it was stopped", "ours", "a: {}", `
			start a
			cancel
			finish a success
			is a success
			done cancelled`,
		},
		{
			"one that ended before the stop was asked for", "ours", "a: {strategy: {matrix: {v: [1, 2]}}}", `
			start a._1 a._2
			finish a._1 failure
			finish a._2 success
			stops
			is a._2 success
			done failure`,
		},
		{
			"after the end", "ours", "a: {}", `
			finish a success
			cancel
			done success`,
		},
	})
}

func TestRefuses(t *testing.T) {
	p := newPlan(t, jobs("a: {}\n b: {needs: a}"), nil, plan.Options{})
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"start one that waits", p.Started("b"), `job "b" is not ready`},
		{"start an unknown one", p.Started("x"), `job "x" is not ready`},
		{"finish one that has not started", p.Finish("a", plan.Result{Conclusion: plan.Success}), `job "a" is not running`},
		{"start", p.Started("a"), ""},
		{"start twice", p.Started("a"), `job "a" is not ready`},
		{"skipped after it ran", p.Finish("a", plan.Result{Conclusion: plan.Skipped}), `job "a" ran: it cannot be "skipped"`},
		{"finish", p.Finish("a", plan.Result{Conclusion: plan.Success}), ""},
		{"finish twice", p.Finish("a", plan.Result{Conclusion: plan.Success}), `job "a" is not running`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if tt.err != nil {
				got = tt.err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOutputsAreBounded(t *testing.T) {
	p := newPlan(t, jobs("a: {}"), nil, plan.Options{})
	if err := p.Started("a"); err != nil {
		t.Fatal(err)
	}
	if err := p.Finish("a", plan.Result{Conclusion: plan.Success, Outputs: []plan.Output{{Name: "x", Value: strings.Repeat("x", 1<<20)}}}); err != nil {
		t.Fatal(err)
	}
	play(t, p, "is a failure\n why a more than 1048576\n done failure")
}
