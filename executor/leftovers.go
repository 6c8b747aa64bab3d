// SPDX-License-Identifier: Apache-2.0

package executor

import "cmp"

// What a command may leave in a directory that it could write to, and what comes
// of it. Device nodes cannot be made inside; hard links lead only to files of the
// same mount, which were the job's to write anyway.
const (
	noteSetID  = "its set-user-ID and set-group-ID bits were taken off"
	noteKept   = "its set-user-ID or set-group-ID bit could not be taken off"
	notePipe   = "a named pipe: who opens it waits"
	noteSocket = "a socket: its other end was the job"
	noteLink   = "a link that leads out of the workspace"
	noteGit    = "a git repository: its hooks and settings are obeyed by git"
	noteSparse = "larger than the disk space that it has"
)

// Bounds of the walk. At about a microsecond an entry it may not take longer than
// what it follows, and a job decides how much there is to walk.
const (
	maxWalk      = 1_000_000
	maxWalkDepth = 1000    // each level holds a descriptor
	maxLeftovers = 1000    // listed
	sparseBytes  = 1 << 36 // a file below 64 GiB is nobody's trap
)

// leftovers walks what a job could write to after its end. It is bounded:
// incomplete says why if there was more.
type leftovers struct {
	since      int64 // Unix time in nanoseconds; what was last changed before is not the job's
	entries    int
	changes    []Change
	unlisted   int
	incomplete string

	max, maxDepth int

	top      string
	prefix   string   // put in front of paths that are listed
	uid      uint32   // of the job's files on disk
	skip     []string // paths relative to top
	readable []string // links that lead there lead nowhere new
}

// place is a directory or file that a job can write to. It is kept in the lock of
// the job's folder: a sweep looks there for what a killed runner left.
type place struct {
	Source []byte   `json:"source"` // absolute; a path need not be UTF-8
	Inode  uint64   `json:"inode"`  // another one under this path is not what the job had
	UID    uint32   `json:"uid"`    // who owns on disk what the job writes
	File   bool     `json:"file,omitempty"`
	Skip   [][]byte `json:"skip,omitempty"` // below Source, read-only
}

func (l *leftovers) stop(why string) { l.incomplete = cmp.Or(l.incomplete, why) }

func (l *leftovers) list(op, rel string, size int64, note string) {
	if len(l.changes) >= maxLeftovers {
		l.unlisted++
		return
	}
	l.changes = append(l.changes, Change{Op: op, Path: l.prefix + rel, Size: size, Note: note})
}

// bareRepository tells a directory that git takes for a repository, whatever its
// name (gitrepository-layout(5)).
type bareRepository struct{ head, objects, refs bool }

func (b *bareRepository) add(name string) {
	b.head = b.head || name == "HEAD"
	b.objects = b.objects || name == "objects"
	b.refs = b.refs || name == "refs"
}

func (b bareRepository) complete() bool { return b.head && b.objects && b.refs }
