// SPDX-License-Identifier: Apache-2.0

// Package syntax reads the text of a workflow file: YAML as GitHub understands it,
// and the schema of what may stand where.
//
//	r := syntax.NewReader(syntax.Limits{})
//	root := r.Read(".github/workflows/ci.yml", text, "workflow-root")
//	for _, e := range r.Errors() {
//		fmt.Println(e) // GitHub's text: file (Line: 3, Col: 5): Unexpected value 'step'
//	}
//
// The truth is the reader of GitHub's server (actions/runner, src/Sdk/WorkflowParser,
// read at 258d6c85 of 2026-08-17): the core schema of YAML 1.2 for plain scalars, keys
// that ignore case, expressions that are checked where they stand against the contexts
// that the schema allows there.
//
// What it guarantees:
//
//   - It is pure: no file, no clock, no global state but the parsed schema.
//   - It is bounded for hostile text: 1 MiB, depth 50, 50,000 YAML nodes with every
//     alias replayed (so no alias bomb, and a cycle ends at the depth), 10 MiB of
//     result, 10 errors of 500 characters each.
//   - Every error of a node carries file, line and column; a name that is near a known
//     one has a hint.
//
// What it cannot do: the words of GitHub's YAML library for text that is no YAML. The
// place is right, the words are our library's. Columns count characters, GitHub's count
// UTF-16 units, so they differ after an emoji.
package syntax
