// SPDX-License-Identifier: Apache-2.0

// Package lock is the lock file of actions, .github/workflows/actions.lock: which commit
// each action of a workflow is, those that actions use themselves too.
//
//	f, problems := lock.Parse(lock.Path, text)
//	locked, ok := f.Workflow(".github/workflows/ci.yml")
//	if !ok {
//		… // this workflow is not locked
//	}
//	pin, err := locked.Resolve(uses, lock.At{File: file, Line: 12, Col: 15})
//	files, err := source.Files(ctx, uses, pin.Commit)
//
// A workflow is locked if the file names it. Each remote action of it must then be in
// the file, and the commit in the file is the one that runs, wherever its tag or branch
// points by now. Not locked are, as at GitHub: actions of the workspace and of the own
// repository (./ and $/), images (docker://), and calls of reusable workflows, whose own
// repository has a lock file for what they use.
//
// The format is GitHub's (github/actions-lockfile, schema v0.0.2, in public preview on
// 2026-10-14; v0.0.1 is read too). What we write is what gh actions-lock writes, but for
// the comment at its head.
//
// What it guarantees: it is pure and bounded (1 MiB; the limits of package syntax), takes
// no file whose uses run in a circle, and no path of a workflow that leads out of the
// repository.
//
// What it cannot do: ask the forge whether a commit is reachable from its ref, which is
// what keeps a commit of a fork out; Pin.Check compares what the caller has found. Keys
// that differ in case only count as the same key, those of refs too. GitHub's reader takes
// what we refuse: plain texts that YAML reads as numbers, a second @ in a key (the runner
// refuses such a uses), and characters that no repository or ref can have. We take what it
// refuses: numbers of owners and repositories in other notations (0x10, 1e3).
package lock
