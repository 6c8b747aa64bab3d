// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
)

// Prefix starts the name of every group of ours, so that a sweep finds what a
// killed runner left.
const Prefix = "zviz-"

// Limits of a group; zero means none.
type Limits struct {
	MemoryBytes int64
	Pids        int
	CPUs        float64
	// Steps: groups are made in it, one for each step of a job. A step that starts
	// shares the runner's memory for a moment, so that an end of all that are in there
	// (memory.oom.group, cgroup v2) could be the runner's.
	Steps bool
}

// Error says which use of the cgroup failed: "kill", "memory", "pids" or "cpu".
type Error struct {
	Use string
	Err error
}

func (e *Error) Error() string { return e.Use + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Group is the control group of one sandbox. Only Remove may be called beside another method, and once.
type Group struct {
	fd   int      // O_PATH directory of v2, -1 if there is none
	v2   string   // directory
	v1   []string // directories
	mem  string   // directory that accounts memory
	pids string
	cpu  string
}

// Make makes the group with the given name below our own. Uses named in without
// are left out; any other that fails is an Error and nothing stays behind.
func Make(h Hierarchies, name string, l Limits, without []string) (_ *Group, err error) {
	g := &Group{fd: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Remove())
		}
	}()
	v1 := h.Joined(without)
	if !slices.Contains(without, "kill") {
		if h.V2 == "" || !h.Kill {
			return nil, &Error{"kill", errors.New("no cgroup v2 with cgroup.kill (Linux 5.14) is mounted")}
		}
		if err := g.makeV2(h, name); err != nil {
			return nil, &Error{"kill", err}
		}
	}
	for _, c := range []struct {
		use string
		v1  string
		dir *string
		set func(dir string, v2 bool) error
	}{
		{"memory", h.Memory, &g.mem, func(d string, v2 bool) error { return setMemory(d, v2, l.MemoryBytes, !l.Steps) }},
		{"pids", h.Pids, &g.pids, func(d string, _ bool) error { return setPids(d, l.Pids) }},
		{"cpu", h.CPU, &g.cpu, func(d string, v2 bool) error { return setCPU(d, v2, l.CPUs) }},
	} {
		if slices.Contains(without, c.use) {
			continue
		}
		v2 := g.v2 != "" && h.has(c.use)
		switch {
		case v2:
			*c.dir = g.v2
		case slices.Contains(v1, c.use):
			d := filepath.Join(c.v1, name)
			if err := os.Mkdir(d, 0o755); err != nil {
				return nil, &Error{c.use, err}
			}
			g.v1 = append(g.v1, d)
			*c.dir = d
		default:
			return nil, &Error{c.use, errors.New("no cgroup hierarchy has the controller")}
		}
		if err := c.set(*c.dir, v2); err != nil {
			return nil, &Error{c.use, err}
		}
	}
	return g, nil
}

func (g *Group) makeV2(h Hierarchies, name string) error {
	dir := filepath.Join(h.V2, name)
	var want []string
	for _, c := range []string{"memory", "pids", "cpu"} {
		if h.has(c) {
			want = append(want, "+"+c)
		}
	}
	if len(want) > 0 {
		if err := enable(h.V2, strings.Join(want, " ")); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	g.v2 = dir
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	g.fd = fd
	return nil
}

// enable turns controllers on for the children of dir. A group other than the
// real root cannot have both processes and controllers for its children
// (cgroups(7), "no internal processes"): its processes, ours among them, move
// into a leaf first.
func enable(dir, controllers string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	err := write(file, controllers)
	if !errors.Is(err, syscall.EBUSY) {
		return err
	}
	leaf := filepath.Join(dir, "zviz-runner")
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	for pid := range strings.FieldsSeq(string(b)) {
		if err := write(filepath.Join(leaf, "cgroup.procs"), pid); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return write(file, controllers)
}

// FD is the v2 directory for CLONE_INTO_CGROUP, or -1.
func (g *Group) FD() int { return g.fd }

// Tasks opens the file of a use's v1 group into which a thread writes 0 to join it. To
// move another process the kernel waits for an RCU grace period, which takes
// milliseconds; a thread that moves itself waits for nothing (Linux 5.3,
// cgroup_procs_write_start).
func (g *Group) Tasks(use string) (int, error) {
	dir := map[string]string{"memory": g.mem, "pids": g.pids, "cpu": g.cpu}[use]
	if !slices.Contains(g.v1, dir) {
		return -1, fmt.Errorf("bug: %s has no group of version 1", use)
	}
	name := filepath.Join(dir, "tasks")
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// Processes returns the pids in the group, as our pid namespace sees them.
func (g *Group) Processes() []int {
	dir := g.v2
	if dir == "" {
		if len(g.v1) == 0 {
			return nil
		}
		dir = g.v1[0]
	}
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for f := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(f); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Kill ends every process of the group at once.
func (g *Group) Kill() error {
	if g.v2 == "" {
		return nil
	}
	return write(filepath.Join(g.v2, "cgroup.kill"), "1")
}

// Usage of a group. Fields are zero where the kernel does not tell.
type Usage struct {
	MemoryPeakBytes int64
	PidsPeak        int
	OOMKills        int
	User, System    time.Duration
}

// Usage reads what the group's processes used so far.
func (g *Group) Usage() Usage {
	var u Usage
	if g.mem != "" {
		if g.mem == g.v2 {
			u.MemoryPeakBytes = readInt(filepath.Join(g.mem, "memory.peak"))
			u.OOMKills = int(readKey(filepath.Join(g.mem, "memory.events"), "oom_kill"))
		} else {
			u.MemoryPeakBytes = readInt(filepath.Join(g.mem, "memory.max_usage_in_bytes"))
			u.OOMKills = int(readKey(filepath.Join(g.mem, "memory.oom_control"), "oom_kill"))
		}
	}
	if g.pids != "" {
		u.PidsPeak = int(readInt(filepath.Join(g.pids, "pids.peak")))
	}
	return u
}

// PidsDenied says how often a fork failed at the limit.
func (g *Group) PidsDenied() int {
	if g.pids == "" {
		return 0
	}
	return int(readKey(filepath.Join(g.pids, "pids.events"), "max"))
}

// Remove kills what is left and removes the directories. It waits a short time
// for the kernel to finish with processes that are dying.
func (g *Group) Remove() error {
	var errs []error
	if g.fd >= 0 {
		errs = append(errs, unix.Close(g.fd))
		g.fd = -1
	}
	if g.v2 != "" {
		if err := g.Kill(); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, removeDir(g.v2))
	}
	for _, d := range g.v1 {
		errs = append(errs, removeDir(d))
	}
	return errors.Join(errs...) // the names stay: somebody may still ask
}

// removeDir removes one group. rmdir(2) gives EBUSY while a process is still
// exiting.
func removeDir(dir string) error {
	var err error
	for wait := time.Millisecond; wait < 2*time.Second; wait *= 2 {
		if err = unix.Rmdir(dir); err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(wait)
	}
	return &os.PathError{Op: "rmdir", Path: dir, Err: err}
}

// Sweep ends and removes a group of the given name that a killed runner left, with
// those of the steps in it.
func Sweep(h Hierarchies, name string) error {
	g := &Group{fd: -1}
	for _, base := range []string{h.V2, h.Memory, h.Pids, h.CPU} {
		if base == "" {
			continue
		}
		inner, err := filepath.Glob(filepath.Join(base, name, Prefix+"*"))
		if err != nil {
			return err
		}
		for _, dir := range inner {
			step := &Group{fd: -1}
			if base == h.V2 {
				step.v2 = dir
			} else {
				step.v1 = []string{dir}
			}
			if err := step.Remove(); err != nil {
				return err
			}
		}
	}
	if h.V2 != "" && exists(filepath.Join(h.V2, name)) {
		g.v2 = filepath.Join(h.V2, name)
	}
	for _, base := range []string{h.Memory, h.Pids, h.CPU} {
		if base == "" || !exists(filepath.Join(base, name)) {
			continue
		}
		g.v1 = append(g.v1, filepath.Join(base, name))
	}
	return g.Remove()
}

func exists(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

func setMemory(dir string, v2 bool, n int64, all bool) error {
	if n <= 0 {
		return nil
	}
	v := strconv.FormatInt(n, 10)
	if v2 {
		err := errors.Join(write(filepath.Join(dir, "memory.max"), v), optional(filepath.Join(dir, "memory.swap.max"), "0"))
		if all {
			err = errors.Join(err, write(filepath.Join(dir, "memory.oom.group"), "1"))
		}
		return err
	}
	// memory+swap may not be below memory, so memory comes first.
	return errors.Join(write(filepath.Join(dir, "memory.limit_in_bytes"), v), optional(filepath.Join(dir, "memory.memsw.limit_in_bytes"), v))
}

func setPids(dir string, n int) error {
	if n <= 0 {
		return nil
	}
	return write(filepath.Join(dir, "pids.max"), strconv.Itoa(n))
}

func setCPU(dir string, v2 bool, cpus float64) error {
	if cpus <= 0 {
		return nil
	}
	const period = 100_000 // µs, the kernel's default
	quota := int(cpus * period)
	if v2 {
		return write(filepath.Join(dir, "cpu.max"), fmt.Sprintf("%d %d", quota, period))
	}
	return errors.Join(write(filepath.Join(dir, "cpu.cfs_period_us"), strconv.Itoa(period)), write(filepath.Join(dir, "cpu.cfs_quota_us"), strconv.Itoa(quota)))
}

// optional writes to a file that is only there where swap accounting is.
func optional(file, v string) error {
	if err := write(file, v); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func write(file, v string) error {
	return linux.WriteFile(file, v)
}

func readInt(file string) int64 {
	b, err := linux.ReadFile(file, 64)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func readKey(file, key string) int64 {
	b, err := linux.ReadFile(file, 4096)
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, key+" "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
