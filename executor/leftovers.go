// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

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

// Bounds of the walk. It has none of time: a job that leaves many files hides
// behind none of them, and needed longer to make them than it takes to look at
// them. Its memory is a few buffers, and a buffer's names for each level of
// directories.
const (
	maxWalk      = 1_000_000_000
	maxWalkDepth = 1000    // each level holds a descriptor
	maxLeftovers = 1000    // listed
	sparseBytes  = 1 << 36 // a file below 64 GiB is nobody's trap

	// walkers look at directories at the same time: more fight over the locks of
	// the kernel's name cache.
	walkers = 4
	// walkGrace is how long the walk goes on after the operator broke off.
	walkGrace = 10 * time.Second
)

// leftovers walks what a job could write to after its end. incomplete says why
// if there was more.
type leftovers struct {
	since   int64 // Unix time in nanoseconds; what was last changed before is not the job's
	entries atomic.Int64

	mu         sync.Mutex
	changes    []Change
	unlisted   int
	incomplete string

	max      int64
	maxDepth int

	broken  <-chan struct{} // closed when the walk has to end
	workers chan struct{}
	nested  map[string]string
	buffers sync.Pool // of *[]byte
	running sync.WaitGroup
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

// tree is a place on the way of the walk.
type tree struct {
	*leftovers
	top      string
	prefix   string   // put in front of paths that are listed
	uid      uint32   // of the job's files on disk
	skip     []string // paths relative to top
	readable []string // links that lead there lead nowhere new
}

// folder is a directory on the way of the walk.
type folder struct {
	*tree
	parent *folder // nil at the top
	name   string
	fd     int
	depth  int
	// installed says that it lies in node_modules: nobody enters these.
	installed bool
	// trusted says that it is, or lies in, a directory that tools obey.
	trusted bool
}

// path is the folder's path below the top; long ones are only made when needed.
func (f *folder) path() string {
	if f.parent == nil {
		return ""
	}
	size := -1
	for p := f; p.parent != nil; p = p.parent {
		size += len(p.name) + 1
	}
	b := make([]byte, size)
	for p := f; p.parent != nil; p = p.parent {
		size -= len(p.name)
		copy(b[size:], p.name)
		if size--; size >= 0 {
			b[size] = '/'
		}
	}
	return string(b)
}

func (f *folder) join(name string) string {
	if f.parent == nil {
		return name
	}
	return f.path() + "/" + name
}

func (l *leftovers) ended() bool {
	select {
	case <-l.broken:
		return true
	default:
		return false
	}
}

func (l *leftovers) stop(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.incomplete = cmp.Or(l.incomplete, why)
}

func (t *tree) list(op, rel string, size int64, note string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.changes) >= maxLeftovers {
		t.unlisted++
		return
	}
	t.changes = append(t.changes, Change{Op: op, Path: t.prefix + rel, Size: size, Note: note, Fix: fixOf(note)})
}

// repository tells a directory that git takes for a repository, whatever its name
// (gitrepository-layout(5)), and whether what git obeys there is new.
type repository struct{ head, objects, refs, common, fresh bool }

func (r *repository) add(name []byte) {
	switch string(name) {
	case "HEAD":
		r.head = true
	case "objects":
		r.objects = true
	case "refs":
		r.refs = true
	case "commondir":
		r.common = true
	}
}

func (r repository) complete() bool { return r.head && (r.objects && r.refs || r.common) }

// graced returns a context that outlives ctx by a time of grace.
func graced(ctx context.Context, grace time.Duration) (context.Context, context.CancelCauseFunc) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel(context.Cause(ctx))
		case <-out.Done():
		}
	})
	context.AfterFunc(out, func() { stop() })
	return out, cancel
}
