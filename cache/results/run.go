// SPDX-License-Identifier: Apache-2.0

package results

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is what Open needs.
type Config struct {
	Dir string // the user's; made if it is not there

	// MaxBytes bounds what all artifacts of the run take, and what is being uploaded;
	// 0: 10 GiB, which is GitHub's for one. Blocks that came in another order than
	// they are listed are on the disk twice while they are put together: FreeBytes
	// bounds that.
	MaxBytes int64
	// FreeBytes of the disk stay free; 0: a fiftieth, at most 1 GiB.
	FreeBytes int64
	// Temporary says that the folder goes with the run: nothing is synchronised to the
	// disk, and no list is kept of what is there.
	Temporary bool
	// DeleteAny lets each job delete and overwrite what others of the run have
	// uploaded, as at GitHub. Without, a job cannot put its own in their place.
	DeleteAny bool
}

const (
	defaultMost   = 10 << 30
	artifactsMost = 1000    // of a run
	uploadsMost   = 64      // of a job, that are not finished
	blocksMost    = 50_000  // of one upload; Azure's limit
	allBlocksMost = 100_000 // of all uploads that are not finished
	commitsMost   = 4       // at the same time: each reads a list of some megabytes
)

const (
	reserved   = ".zviz-" // names that begin so are ours
	manifestIn = reserved + "artifacts.json"
	tempPrefix = reserved + "tmp-"
)

// Run holds the artifacts of one run. It is safe for concurrent use.
type Run struct {
	id       string
	cfg      Config
	root     *os.Root
	folder   *os.File // locked; its owner gets the files
	temp     string   // below root
	key      []byte   // of signatures
	commits  chan struct{}
	manifest manifest // under mu

	mu        sync.Mutex
	closed    bool
	used      int64 // bytes, with those of uploads
	blocks    int   // of uploads
	lastID    int64
	jobs      map[string]*Job
	artifacts map[string]*artifact // finished, by name
	uploads   map[string]*upload   // by id
}

// artifact is a finished one.
type artifact struct {
	entry
	id   int64
	job  *Job
	info fs.FileInfo // of the file when it was put there
}

// Open takes a folder for a run. It fails if another run has it, or if it holds what
// no run has put there.
func Open(cfg Config) (_ *Run, err error) {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultMost
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil { //nolint:gosec // the user's, as mkdir makes it
		return nil, fmt.Errorf("artifacts: %w", err)
	}
	r := &Run{
		id: rand.Text(), cfg: cfg, key: make([]byte, 32), commits: make(chan struct{}, commitsMost),
		jobs: map[string]*Job{}, artifacts: map[string]*artifact{}, uploads: map[string]*upload{},
	}
	_, _ = rand.Read(r.key) // it never fails
	if r.root, err = os.OpenRoot(cfg.Dir); err != nil {
		return nil, fmt.Errorf("artifacts: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.root.Close())
			if r.folder != nil {
				err = errors.Join(err, r.folder.Close())
			}
		}
	}()
	if r.folder, err = r.root.Open("."); err != nil {
		return nil, fmt.Errorf("artifacts: %w", err)
	}
	if !tryLock(r.folder) {
		return nil, &FolderError{cfg.Dir, "is in use by another run", "wait for it, or name another folder"}
	}
	if cfg.FreeBytes <= 0 {
		r.cfg.FreeBytes = reserve(r.folder)
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	return r, nil
}

// FolderError says why a folder cannot take artifacts.
type FolderError struct{ Dir, what, fix string }

func (e *FolderError) Error() string { return "folder of artifacts " + e.Dir + ": " + e.what }

// Hint says what to do.
func (e *FolderError) Hint() string { return e.fix }

// prepare looks at what is in the folder and removes what a killed run left.
func (r *Run) prepare() error {
	names, err := r.folder.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	others := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.HasPrefix(n, reserved) })
	switch m, err := readManifest(r.root); {
	case errors.Is(err, fs.ErrNotExist) && len(others) > 0:
		return &FolderError{r.cfg.Dir, filepath.Join(r.cfg.Dir, slices.Min(others)) + " is in it, which no run has put there", "name an empty or a new folder: a job chooses the names of what is put there"}
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return &FolderError{r.cfg.Dir, fmt.Sprintf("%s: %v", manifestIn, err), "name another folder, or empty this one"}
	default:
		r.manifest = m
	}
	for _, n := range names {
		if strings.HasPrefix(n, tempPrefix) {
			if err := r.root.RemoveAll(n); err != nil {
				return fmt.Errorf("artifacts: %w", err)
			}
		}
	}
	r.temp = tempPrefix + rand.Text()
	if err := r.root.Mkdir(r.temp, 0o700); err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	if len(others) == 0 {
		r.manifest = manifest{}
	}
	return r.writeManifest() // from now on the folder is known to be ours
}

// Artifact is one that a run has finished.
type Artifact struct {
	Name    string
	File    string // below Config.Dir
	Size    int64
	SHA256  string // of the file, hex
	Job     string
	Created time.Time
}

// Artifacts returns those that are finished, by name.
func (r *Run) Artifacts() []Artifact {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Artifact
	for _, a := range r.artifacts {
		out = append(out, Artifact{a.Name, a.File, a.Size, strings.TrimPrefix(a.Digest, digestPrefix), a.Job, a.Created})
	}
	slices.SortFunc(out, func(a, b Artifact) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Close ends all jobs, drops what is not finished and gives the folder free.
func (r *Run) Close() error {
	r.mu.Lock()
	r.closed = true
	jobs := make([]*Job, 0, len(r.jobs))
	for _, j := range r.jobs {
		jobs = append(jobs, j)
	}
	r.mu.Unlock()
	for _, j := range jobs {
		j.End()
	}
	return errors.Join(r.root.RemoveAll(r.temp), r.root.Close(), r.folder.Close())
}

// take counts n bytes in, unless that would be too many, or the disk has no place for
// those that will be written.
func (r *Run) take(n, written int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.cfg.MaxBytes-r.used {
		return fmt.Errorf("%w: the artifacts of a run may take %d bytes", errTooMuch, r.cfg.MaxBytes)
	}
	if free, err := freeBytes(r.folder); err == nil && free-written < r.cfg.FreeBytes {
		return fmt.Errorf("%w: the disk is nearly full", errTooMuch)
	}
	r.used += n
	return nil
}

// give counts bytes out.
func (r *Run) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
}

// errTooMuch says that something is not stored because a bound is reached.
var errTooMuch = errors.New("not stored")

// tempFile makes a file for what is uploaded.
func (r *Run) tempFile() (*os.File, string, error) {
	name := path.Join(r.temp, rand.Text())
	f, err := r.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return f, name, err
}
