// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"io/fs"
)

// Source is where the files of remote actions come from: a cache before a forge, or a
// folder that the user named. All methods may be called by many goroutines at a time.
//
// Resolve is asked first, and only for what no lock file answers; Files after it, with
// the commit that Resolve or the lock file named.
type Source interface {
	// Resolve says which commit the ref of a Remote uses is now: a full one, in lower
	// case. A short commit is an error, as it is at GitHub.
	Resolve(ctx context.Context, u Uses) (commit string, err error)
	// Files are those of the repository at a commit. They are verified to be that
	// commit's, and do not change.
	Files(ctx context.Context, u Uses, commit string) (fs.FS, error)
}

// Tools finds the programs that actions need.
type Tools interface {
	// Node is the path of a Node.js of a major version or a newer one that is real:
	// JavaScript actions use native modules, streams and threads.
	Node(ctx context.Context, major int) (path string, err error)
}
