// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	Slot int `json:"slot"`
	PID  int `json:"pid"` // of the runner, for people
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
// once the lock is held, so that a sweep never sees it free.
func newJob(state string) (_ *jobState, err error) {
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
			_ = os.RemoveAll(hidden)
			j.close()
		}
	}()
	if j.lock, err = tryLock(filepath.Join(hidden, jobLock)); err != nil {
		return nil, err
	}
	if j.Slot, j.slot, err = takeSlot(state); err != nil {
		return nil, err
	}
	data, err := json.Marshal(jobFile{Slot: j.Slot, PID: os.Getpid()})
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
func sweep(state string, h cgroup.Hierarchies) error {
	dir := filepath.Join(state, "jobs")
	jobs, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range jobs {
		job := filepath.Join(dir, d.Name())
		if strings.HasPrefix(d.Name(), ".") {
			st, err := d.Info()
			if err != nil || time.Since(st.ModTime()) < orphanMinAge {
				continue // it may be about to get its lock and name
			}
		}
		lock, err := lockExisting(filepath.Join(job, jobLock))
		if errors.Is(err, fs.ErrNotExist) {
			// Removed but for itself, or never begun: nothing is in it, or it stays.
			_ = os.Remove(job)
			continue
		}
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, cgroup.Sweep(h, cgroup.Prefix+strings.TrimPrefix(d.Name(), ".")), removeTree(job, jobLock), lock.Close())
	}
	return errors.Join(errs...)
}
