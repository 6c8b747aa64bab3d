// SPDX-License-Identifier: Apache-2.0

// Package action keeps the files of actions, by the commit of their repository, and
// fetches what is not there from the forge with the machine's own git.
//
//	c, err := action.Open(action.Config{Dir: dir, Environ: environ})
//	commit, err := c.Resolve(ctx, action.Repository{Owner: "actions", Name: "checkout"}, "v4")
//	tree, err := c.Open(ctx, repository, commit)
//	defer tree.Close() // until then nobody evicts it
//
// What it guarantees:
//
//   - A tree is what its commit says. Git is no more than a carrier: each commit, tree and
//     file is hashed here and compared with the id that led to it (SHA-1 or SHA-256, as
//     the repository has it), and again when a process uses a tree for the first time. One
//     that does not match is thrown away and fetched anew.
//   - A tree appears as a whole, by one rename, and does not change: files are 0444 or
//     0555. A runner that is killed leaves a temporary folder, which the next Open
//     removes. After a loss of power a torn tree is found by its hashes.
//   - Any number of runners on a machine that want the same commit fetch it once.
//   - Code of the repository does not run: nothing is checked out, so no hook, filter
//     (LFS), attribute or submodule takes effect. A repository that names a file .git, ..
//     or the like is refused. Links that lead out of the repository are left out.
//   - A fetch is bounded: in time, in size, and in the memory that git may take.
//   - Git asks the user nothing. It reads the configuration of the user and the machine,
//     which is where proxies, certificates and credentials are; no other.
//
// What it cannot do: tell whether a commit belongs to a branch or a tag of the
// repository. GitHub serves commits of forks under the name of the origin too. Files that
// an archive of GitHub's leaves out (export-ignore in .gitattributes) are there.
//
//	trees/owner/repo/COMMIT/files/   what a job sees
//	trees/owner/repo/COMMIT/list     what is in there; its mtime is the last use
//	refs/owner/repo/HEX              the commit that a ref had when it was asked for last
//	tmp/                             being fetched, each one locked by who fetches
//	locks/                           one fetch of a commit at a time; those in use are not evicted
//
// It needs git 2.31 or newer, flock(2) and a file system with atomic rename.
package action
