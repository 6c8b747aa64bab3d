// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/cgroup"
	"github.com/zviz/run/sandbox/seccomp"
)

// Who a job is inside.
const (
	runnerUser = "runner"
	runnerUID  = 1001
)

// Cell is what one job has for itself: a network, a control group with the job's
// limits, a workspace, and a home and /tmp that its steps share. Each step runs in
// a sandbox of its own. It is not safe for concurrent use but for Run.
type Cell struct {
	x     *Executor
	c     *cell
	probe sandbox.Probe
	work  *os.Root
	owner sandbox.Owner

	policy Policy
	onHost bool          // without a network of its own: --allow-missing net
	group  *cgroup.Group // with the job's limits
	disk   diskWatch     // as it was before the first step
	began  time.Time

	mu    sync.Mutex
	step  int       // number of the last sandbox
	ahead []stepBox // parked, for steps to come
	ran   ran
}

// OpenCell makes a cell. The context bounds the opening only.
func (x *Executor) OpenCell(ctx context.Context, r CellRequest) (_ *Cell, err error) {
	req := Request{Policy: r.Policy, Presets: r.Presets, Secrets: r.Secrets, Observe: r.Observe, Phase: r.Phase, Credentials: r.Credentials}
	defer phase(req, "")
	if len(r.Services) > 0 && r.Policy.NoNetwork {
		return nil, errServices
	}
	// What takes long and needs nothing of the rest is begun first.
	ahead := beginNetwork(r.Policy)
	defer func() {
		if err != nil {
			ahead.Close()
		}
	}()
	profile, err := seccomp.ByName(profileName(r.Policy))
	if err != nil {
		return nil, err
	}
	if profile.Identity && r.Policy.Rootfs == "" {
		return nil, errNoRootfs
	}
	surveyed := x.beginSurvey(r.Policy, profile)
	probe, err := x.probe()
	if err != nil {
		return nil, err
	}
	onHost, err := x.open(ctx, probe, req)
	if err != nil {
		return nil, err
	}
	if len(r.Services) > 0 && onHost {
		return nil, errServices
	}
	c := &cell{groups: probe.Cgroups, hidden: hide(r.Secrets), observe: r.Observe, narrowed: r.Narrowed, ahead: ahead}
	if onHost {
		if err := c.heldOnHost(probe); err != nil {
			return nil, err
		}
	}
	c.declared = c.services.declare(r.Services)
	if err := c.services.give(r.Services); err != nil {
		return nil, err
	}
	if !r.Policy.NoCanaries {
		c.canaries = newCanaries()
	}
	cell := &Cell{x: x, c: c, probe: probe, policy: r.Policy, onHost: onHost, began: time.Now()}
	defer func() { //nolint:contextcheck // tear-down outlives the context
		if err != nil {
			err = errors.Join(err, cell.Close())
		}
	}()
	if len(r.Presets) > 0 && !r.Policy.NoNetwork && !onHost {
		phase(req, "presets")
		if c.presets, err = x.presets(ctx, r.Presets, r.Policy.AllowMissing); err != nil {
			return nil, err
		}
	}
	if more := stepPresets(r.Policy.Egress.Steps, r.Presets); len(more) > 0 && !r.Policy.NoNetwork && !onHost {
		if c.more, err = x.presets(ctx, more, r.Policy.AllowMissing); err != nil {
			return nil, err
		}
	}
	if err := c.sees(<-surveyed); err != nil {
		return nil, err
	}
	if c.job, err = newJob(x.folder(), jobFile{Groups: c.groups}); err != nil {
		return nil, &StateError{Dir: x.folder(), Err: err}
	}
	ids := jobIDs(probe, c.job.Slot)
	if probe.User == nil {
		ids.UID, ids.GID = runnerUID, runnerUID
	}
	files := accountFiles(runnerUser, RunnerHome, ids)
	if profile.Identity {
		if ids, err = rootIDs(probe, c.job.Slot); err != nil {
			return nil, err
		}
		keepAccounts(files)
	}
	cell.owner = ids.Owner()
	if err := cell.makeWork(); err != nil {
		return nil, &StateError{Dir: x.folder(), Err: err}
	}
	mounts, err := checkMounts(r.Policy.Mounts, workspace{top: RunnerWork})
	if err != nil {
		return nil, err
	}
	owner := cell.owner
	c.spec = sandbox.Spec{
		ID: c.job.ID, StateDir: c.job.Dir, Shared: c.job.Dir, Home: RunnerHome, Hostname: "zviz",
		Root: c.spec.Root, Hide: c.spec.Hide, Files: files,
		Mounts: append([]sandbox.Mount{
			{Source: filepath.Join(c.job.Dir, "work"), Target: RunnerWork, Write: true, Owner: &owner},
			{Source: filepath.Join(c.job.Dir, "tools"), Target: ToolCache, Write: true, Owner: &owner},
		}, owned(mounts, probe)...),
		IDs: ids, Profile: profile, Limits: defaultLimits(r.Policy.Limits, probe),
		MinimalProc: profile.Name == "hostile", AllowMissing: r.Policy.AllowMissing,
	}
	if c.spec.Root.Overlay {
		c.spec.Root.Own = ownDir
	}
	c.giveSudo()
	if err := x.layTools(r.ToolCache, c, probe.User != nil); err != nil {
		return nil, err
	}
	if err := sandbox.MakeShared(c.spec); err != nil {
		return nil, &StateError{Dir: x.folder(), Err: err}
	}
	c.plantIn(func(err error) { x.cfg.Log.Warn("plant canaries", slog.Any("error", err)) })
	if err := cell.makeGroup(); err != nil {
		return nil, err
	}
	switch {
	case onHost:
		c.useHostNetwork()
	case !r.Policy.NoNetwork:
		if err := x.connect(ctx, req, c); err != nil {
			return nil, err
		}
	default:
		// Steps reach each other's services all the same.
		if err := beginAlone(req).join(c); err != nil {
			return nil, err
		}
	}
	if c.spec.Root.Overlay { // the network's files are part of it
		if c.root, err = sandbox.NewSharedRoot(c.spec, probe); err != nil {
			return nil, err
		}
		c.spec.Root = c.root.Root()
	}
	cell.disk = newDiskWatch(c.job.Dir)
	return cell, nil
}

// beginSurvey looks at this machine beside whatever else is done.
func (x *Executor) beginSurvey(p Policy, profile seccomp.Profile) <-chan survey {
	out := make(chan survey, 1)
	go func() { out <- x.look(p, profile, "") }()
	return out
}

// makeWork makes the folders of the job on disk.
func (l *Cell) makeWork() (err error) {
	for _, d := range []string{"work", "work/_temp", "tools"} {
		name := filepath.Join(l.c.job.Dir, d)
		if err := os.Mkdir(name, 0o755); err != nil { //nolint:gosec // the job's own
			return err
		}
		if err := os.Lchown(name, int(l.owner.UID), int(l.owner.GID)); err != nil {
			return err
		}
	}
	l.work, err = os.OpenRoot(filepath.Join(l.c.job.Dir, "work"))
	return err
}

// makeGroup makes the control group with the job's limits; those of the steps are
// made in it.
func (l *Cell) makeGroup() error {
	s := &l.c.spec
	name := cgroup.Prefix + l.c.job.ID
	g, err := cgroup.Make(l.probe.Cgroups, name, cgroup.Limits{MemoryBytes: s.Limits.MemoryBytes, Pids: s.Limits.Pids, CPUs: s.Limits.CPUs, Steps: true}, sandbox.WithoutGroups(*s, l.probe))
	if use, ok := errors.AsType[*cgroup.Error](err); ok {
		return &sandbox.LayerError{Layer: sandbox.Layer(use.Use), Stage: "cgroup", Err: use.Err}
	}
	if err != nil {
		return err
	}
	l.group, l.c.around = g, g.Remove
	s.Cgroup = name
	return nil
}

// Environ is what every process of the job has: PATH, HOME, and what it needs to
// find its network.
func (l *Cell) Environ() map[string]string {
	env := map[string]string{}
	list := l.c.env
	if list == nil {
		list = l.x.environment(l.c.tools, l.c.spec.Profile, nil, false, nil)
	}
	for _, kv := range list {
		for i := range len(kv) {
			if kv[i] == '=' {
				env[kv[:i]] = kv[i+1:]
				break
			}
		}
	}
	env["HOME"] = RunnerHome
	return env
}

// LookPath finds a program in PATH inside, given as in Step.Path, and returns its
// name inside; empty if it is not there.
func (l *Cell) LookPath(name string, first []string) string {
	for _, dir := range slices.Concat(first, l.c.tools.path) {
		if !path.IsAbs(dir) {
			continue // it means another place for each process, and here one of the runner's
		}
		file := path.Join(dir, name)
		if file == sudoFile {
			return file
		}
		if rel, ok := inWork(file); ok {
			if st, err := l.work.Stat(rel); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
				return file
			}
			continue
		}
		if st, err := l.stat(file); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// stat describes a file inside that is not in RunnerWork.
func (l *Cell) stat(name string) (fs.FileInfo, error) {
	if rel, ok := strings.CutPrefix(name, ToolCache+"/"); ok {
		return l.c.tooling.stat(filepath.Join(l.c.job.Dir, "tools"), rel)
	}
	switch {
	case l.c.root != nil:
		return l.c.root.Stat(name)
	case l.policy.Rootfs != "":
		return sandbox.StatInside(l.policy.Rootfs, name)
	default:
		return os.Stat(name)
	}
}

// inWork returns a path inside as one below RunnerWork.
func inWork(name string) (rel string, ok bool) { return strings.CutPrefix(name, RunnerWork+"/") }

// stepPresets are the presets that only steps name.
func stepPresets(steps []egress.StepPolicy, known []string) []string {
	var out []string
	for _, s := range steps {
		for _, name := range s.Presets {
			if !slices.Contains(known, name) && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// Work is the job's RunnerWork as the host sees it, for what the runner itself puts
// there before any step ran. Nothing below is to be trusted later.
func (l *Cell) Work() fs.FS { return l.work.FS() }

// WriteFile makes a file of the job's in RunnerWork, given by its path inside. It
// must not be there. Directories are made as needed.
func (l *Cell) WriteFile(name string, data []byte, mode fs.FileMode) error {
	rel, ok := inWork(name)
	if !ok {
		return fmt.Errorf("bug: %s is not in %s", name, RunnerWork)
	}
	if err := l.mkdir(path.Dir(rel)); err != nil {
		return err
	}
	// A sandbox that starts meanwhile has copies of all descriptors for a moment: with
	// one that writes, an execve of the file would fail (ETXTBSY).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := l.work.OpenFile(rel, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chown(int(l.owner.UID), int(l.owner.GID)), f.Close())
}

// MkdirAll makes directories of the job's in RunnerWork.
func (l *Cell) MkdirAll(name string) error {
	rel, ok := inWork(name)
	if !ok {
		return fmt.Errorf("bug: %s is not in %s", name, RunnerWork)
	}
	return l.mkdir(rel)
}

func (l *Cell) mkdir(rel string) error {
	if rel == "." {
		return nil
	}
	if err := l.mkdir(path.Dir(rel)); err != nil {
		return err
	}
	err := l.work.Mkdir(rel, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return l.work.Lchown(rel, int(l.owner.UID), int(l.owner.GID))
}

// ReadFile reads a file of the job's in RunnerWork, given by its path inside:
// regular, at most limit bytes. No link leads out of there.
func (l *Cell) ReadFile(name string, limit int64) ([]byte, error) {
	rel, ok := inWork(name)
	if !ok {
		return nil, fmt.Errorf("bug: %s is not in %s", name, RunnerWork)
	}
	f, err := l.work.OpenFile(rel, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: ErrTooLarge}
	}
	return data, nil
}

// Events are the connections so far.
func (l *Cell) Events() []egress.Event {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return slices.Clone(l.c.events)
}

// Hide masks more values in the events to come, as it does the secrets of CellRequest.
func (l *Cell) Hide(values ...string) { l.c.hidden.add(values...) }

// Kill ends all processes of the job at once. Steps that run end with that.
func (l *Cell) Kill() error {
	if l.group == nil {
		return nil
	}
	return l.group.Kill()
}

// ServiceURL returns where the job finds a service of CellRequest, without a slash at
// the end; empty if there is none of that name.
func (l *Cell) ServiceURL(name string) string {
	if l.c.network == nil {
		return ""
	}
	return l.c.network.ServiceURL(name)
}

// Served returns how many requests each service has served.
func (l *Cell) Served() map[string]int64 {
	if l.c.network == nil {
		return nil
	}
	return l.c.network.Served()
}

// Packages are those that the job had without asking for them so far; those that it
// asked for are in Events.
func (l *Cell) Packages() []ReportPackage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c.layer.packages()
}

// Close ends everything that still runs and removes the job's folders.
func (l *Cell) Close() error {
	var err error
	if l.work != nil {
		err = l.work.Close()
	}
	return errors.Join(err, l.c.close())
}
