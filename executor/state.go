// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/sandbox/cgroup"
)

// State on disk, all 0700:
//
//	STATE/jobs/ID/{lock,home/,tmp/,…}    one job; a free lock means that its runner is dead
//	STATE/slots/N                        one range of host ids, held by flock
//	STATE/discovery.json                 what the operator's toolchain answered
const (
	firstHostID  = 0x70000000
	idsPerSlot   = 65536
	slotCount    = 2048 // ids stay below 2³¹
	jobLock      = "lock"
	orphanMinAge = time.Minute
)

// jobState is the folder of one running job.
type jobState struct {
	ID   string
	Dir  string // the sandbox's state too
	Slot int

	lock, slot *os.File
}

// jobFile is the lock's content: what a sweep needs to know.
type jobFile struct {
	Slot   int     `json:"slot"`
	PID    int     `json:"pid"`   // of the runner, for people
	Began  clock   `json:"began"` // before the job could write anything
	Places []place `json:"places,omitempty"`
	// Groups is below which its control groups are: those of the runner, which the
	// next one need not be in.
	Groups cgroup.Hierarchies `json:"groups"`
}

// prepareState makes the state folder and resolves links in its path: the
// sandbox opens what is below without following any.
func prepareState(dir string) (string, error) {
	for _, d := range []string{dir, filepath.Join(dir, "jobs"), filepath.Join(dir, "slots")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", err
		}
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	st, err := os.Stat(resolved)
	if err != nil {
		return "", err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Geteuid() {
		return "", fmt.Errorf("state folder %s belongs to uid %d, not to us (%d)", resolved, sys.Uid, os.Geteuid())
	}
	return resolved, os.Chmod(resolved, 0o700) //nolint:gosec // a folder
}

// newJob makes a job's folder, locked from the start: it gets its name only
// once the lock is held, so that a sweep never sees it free. Of f are the places
// that the job will be able to write to, and its groups.
func newJob(state string, f jobFile) (_ *jobState, err error) {
	var b [6]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, err
	}
	id := hex.EncodeToString(b[:])
	hidden, dir := filepath.Join(state, "jobs", "."+id), filepath.Join(state, "jobs", id)
	if err := os.Mkdir(hidden, 0o700); err != nil {
		return nil, err
	}
	j := &jobState{ID: id, Dir: dir}
	defer func() {
		if err != nil {
			j.close()
			// Nothing else is in it, and these calls need no descriptor: there may be
			// none.
			_ = os.Remove(filepath.Join(hidden, jobLock))
			_ = os.Remove(hidden)
		}
	}()
	if j.lock, err = tryLock(filepath.Join(hidden, jobLock)); err != nil {
		return nil, err
	}
	if j.Slot, j.slot, err = takeSlot(state); err != nil {
		return nil, err
	}
	f.Slot, f.PID, f.Began = j.Slot, os.Getpid(), readClock()
	data, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	if _, err := j.lock.Write(data); err != nil {
		return nil, err
	}
	return j, os.Rename(hidden, dir)
}

func (j *jobState) close() {
	for _, f := range []*os.File{j.slot, j.lock} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// end removes the job's control groups, if they are still there, and then its
// folder. As long as a group cannot be removed the folder stays: without it no next
// start would know of the group.
func (j *jobState) end(h cgroup.Hierarchies) error {
	if err := cgroup.Sweep(h, cgroup.Prefix+j.ID); err != nil {
		j.close()
		return err
	}
	return j.remove()
}

// remove deletes the job's folder and gives its ids back. If something cannot be
// deleted the folder stays, keeps its ids from being reused, and the next start
// tries again.
func (j *jobState) remove() error {
	err := removeTree(j.Dir, jobLock)
	j.close()
	return err
}

func tryLock(name string) (*os.File, error) { return lockFile(name, os.O_CREATE) }

// lockExisting does not make the file: a folder that lost it is being removed.
func lockExisting(name string) (*os.File, error) { return lockFile(name, 0) }

func lockFile(name string, flag int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|flag|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(&os.PathError{Op: "flock", Path: name, Err: err}, f.Close())
	}
	return f, nil
}

// takeSlot takes a range of host ids that neither a running job nor the rest of
// a dead one has.
func takeSlot(state string) (int, *os.File, error) {
	taken := map[int]bool{}
	jobs, err := os.ReadDir(filepath.Join(state, "jobs"))
	if err != nil {
		return 0, nil, err
	}
	for _, d := range jobs {
		if f, err := readJob(filepath.Join(state, "jobs", d.Name())); err == nil {
			taken[f.Slot] = true
		}
	}
	for n := range slotCount {
		if taken[n] {
			continue
		}
		f, err := tryLock(filepath.Join(state, "slots", strconv.Itoa(n)))
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		return n, f, err
	}
	return 0, nil, fmt.Errorf("all %d ranges of user ids are in use", slotCount)
}

func readJob(dir string) (jobFile, error) {
	var f jobFile
	b, err := os.ReadFile(filepath.Join(dir, jobLock))
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(b, &f)
}

// sweep ends and removes what killed runners left: only jobs whose lock is free.
func sweep(ctx context.Context, state string, h cgroup.Hierarchies, log *slog.Logger) error {
	dir := filepath.Join(state, "jobs")
	jobs, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range jobs {
		if strings.HasPrefix(d.Name(), ".") {
			// It may be about to get its lock and name. One from the future is no young
			// one: the clock was set back.
			if st, err := d.Info(); err != nil || time.Since(st.ModTime()).Abs() < orphanMinAge {
				continue
			}
		}
		errs = append(errs, sweepJob(ctx, filepath.Join(dir, d.Name()), h, log))
	}
	return errors.Join(errs...)
}

// sweepJob ends what a dead runner's job still runs, then makes harmless what the
// job left where it could write, and only then forgets it: whoever is killed in
// between leaves the rest to the next start.
func sweepJob(ctx context.Context, job string, h cgroup.Hierarchies, log *slog.Logger) (err error) {
	lock, err := lockExisting(filepath.Join(job, jobLock))
	if errors.Is(err, fs.ErrNotExist) {
		// Removed but for itself, or never begun: nothing is in it, or it stays.
		_ = os.Remove(job)
		return nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	id := strings.TrimPrefix(filepath.Base(job), ".")
	f, unread := readJob(job) // empty if the runner died before it was written
	if err := errors.Join(cgroup.Sweep(f.Groups, cgroup.Prefix+id), cgroup.Sweep(h, cgroup.Prefix+id)); err != nil {
		return err // as long as a process of it lives, nobody else gets its ids
	}
	if unread == nil && len(f.Places) > 0 {
		l := newLeftovers(ctx, f.Began.since(readClock()))
		l.settle("", f.Places, nil)
		if ctx.Err() != nil {
			return context.Cause(ctx) // the next start goes on
		}
		for _, c := range l.changes {
			if c.Note == noteSetID || c.Note == noteKept {
				log.Warn("a job whose runner was killed left a program", slog.String("job", id), slog.String("path", c.Path), slog.String("note", c.Note))
			}
		}
		if l.incomplete != "" {
			log.Warn("what a job left could not all be looked at", slog.String("job", id), slog.String("why", l.incomplete))
		}
	}
	return removeTree(job, jobLock)
}
