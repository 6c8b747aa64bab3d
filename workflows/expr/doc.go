// SPDX-License-Identifier: Apache-2.0

// Package expr is the expression language of GitHub Actions: what stands
// between ${{ and }}, and in an if.
//
//	x, err := expr.Parse("github.ref == 'refs/heads/main'", expr.Options{Contexts: []string{"github"}})
//	if err != nil {
//		return err // an *expr.Error: its text is GitHub's, with the position
//	}
//	v, err := x.Eval(expr.Env{Contexts: expr.Values{"github": github}})
//
// The truth is the engine of the runner (actions/runner, src/Sdk/Expressions, read
// at 258d6c85 of 2026-08-17): it decides when a job runs. GitHub's TypeScript
// library answers otherwise in a few places, which oracle_test.go lists. We differ
// from the runner in one: fromJSON takes one strict JSON value and nothing after
// it, as the runner does with StrictJsonParsing.
//
// What it guarantees:
//
//   - It is pure: no file, no clock, no global state. What an expression may ask of
//     the world (hashFiles, the status functions) is a Func that the caller gives.
//   - Values and trees do not change once they are made, and may be used
//     by many goroutines at a time.
//   - It is bounded for hostile text: 21,000 characters, a tree of depth 50, JSON of
//     depth 100, and 10 MiB of intermediate values by the runner's own accounting.
//   - Arguments that do not matter are not evaluated, as in the runner: the right
//     side of a decided && or ||, the branches of case that were not taken, what
//     format does not mention.
//
// What it cannot do: keep half of a surrogate pair (it becomes U+FFFD), and mark
// which part of a string came from a secret; masking is the caller's.
package expr
