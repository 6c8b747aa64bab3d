// SPDX-License-Identifier: Apache-2.0

// Package action is what an action says: its action.yml, what a step's uses names, the
// inputs that it gets, and the lock file that says which commit a name stands for.
//
//	m, problems := action.Parse("owner/repo/action.yml", text)
//	if len(problems.Errors) > 0 {
//		return problems.Errors[0] // its text is GitHub's
//	}
//	given, err := action.EvalMapping(step.With, syntax.Allowed("step-with"), env)
//	in, err := m.Resolve(given, env) // defaults filled in, warnings
//	environ = append(environ, in.Environ()...) // INPUT_NAME=value
//
// The truth is the runner (actions/runner, src/Runner.Worker/ActionManifestManager.cs and
// its neighbours, read at 258d6c85 of 2026-08-17) and, for the lock file, GitHub's own
// reader of it (github/actions-lockfile, go/pkg/lockfile, read at 8dc6758e of 2026-07-31).
//
// What it guarantees:
//
//   - It is pure: it reads nothing but what it is given, an fs.FS in Find at most.
//     Source and Tools are what a caller has to bring.
//   - It is bounded for hostile text: 1 MiB, depth 100, and the other limits of package
//     syntax. Anchors and aliases are refused, as the runner does in a manifest.
//   - Parts of a uses cannot lead out of the workspace, the repository or a cache whose
//     folders are named after them.
//
// What it cannot do: say whether an action exists, whether the commit of a lock file is
// reachable from the branch or tag that it names, or who owns the repository now. These
// are questions to a forge.
package action
