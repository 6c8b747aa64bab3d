// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/sandbox/cgroup"
)

// Sandbox is one place to run a command in. It is used for one command and then
// closed; Close may be called at any time and more than once.
type Sandbox struct {
	spec  Spec
	probe Probe
	group *cgroup.Group
	look  *cgroup.Group // a copy that Close does not change, for Processes at any time
	users *userNamespaces

	parked  *parked
	staying *Process // with Cmd.Stay

	close func() error
}

// New makes what a sandbox needs of the host before it starts: its control
// group and its directories below Spec.StateDir.
func New(spec Spec, probe Probe) (*Sandbox, error) {
	if err := spec.validate(probe.User != nil); err != nil {
		return nil, err
	}
	users := beginUserNamespaces(spec)
	made := false
	defer func() {
		if !made {
			users.close()
		}
	}()
	if spec.Shared == "" {
		if err := makePrivate(spec); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(spec.Mounts, func(m Mount) bool { return m.Overlay }) {
		for _, d := range []string{stateUpper, stateWork} {
			if err := makeStateDir(spec, spec.StateDir, d); err != nil {
				return nil, err
			}
		}
	}
	if spec.Root.Overlay && spec.Root.Shared == "" {
		if err := makeRootDirs(spec); err != nil {
			return nil, err
		}
	}
	limits := cgroup.Limits{MemoryBytes: spec.Limits.MemoryBytes, Pids: spec.Limits.Pids, CPUs: spec.Limits.CPUs}
	if spec.Cgroup != "" {
		limits = cgroup.Limits{} // they are those of the group around it
	}
	g, err := cgroup.Make(probe.Cgroups, path.Join(spec.Cgroup, cgroup.Prefix+spec.ID), limits, WithoutGroups(spec, probe))
	if err != nil {
		if use, ok := errors.AsType[*cgroup.Error](err); ok {
			return nil, &LayerError{Layer: Layer(use.Use), Stage: "cgroup", Err: use.Err}
		}
		return nil, err
	}
	look := *g
	s := &Sandbox{spec: spec, probe: probe, group: g, look: &look, users: users}
	made = true
	s.close = sync.OnceValue(func() error {
		users.close()
		err := s.parked.end()
		if s.staying != nil {
			s.staying.leave()
		}
		return errors.Join(err, g.Remove())
	})
	return s, nil
}

// MakeShared makes the home and /tmp that the sandboxes of a job share in
// spec.Shared, with the points of all mounts that lie in there. Later ones cannot be
// made: the job owns these folders.
func MakeShared(spec Spec) error { return makePrivate(spec) }

func makePrivate(spec Spec) error {
	// Each one costs half a millisecond on a journalling disk.
	dirs := []string{stateTmp}
	if spec.Home != "" {
		dirs = append(dirs, stateHome)
	}
	for _, d := range dirs {
		if err := makeStateDir(spec, spec.shared(), d); err != nil {
			return err
		}
	}
	return makeMountPoints(spec)
}

// makeRootDirs makes the directories of a writable root.
func makeRootDirs(spec Spec) error {
	for _, d := range []string{stateRoot, stateRootWork} {
		if err := makeStateDir(spec, spec.StateDir, d); err != nil {
			return err
		}
	}
	return nil
}

// makeStateDir makes a directory that the job's user owns, but for the overlay's
// own.
func makeStateDir(spec Spec, in, name string) error {
	dir := filepath.Join(in, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	o := spec.IDs.Owner()
	switch name {
	case stateWork, stateRootWork:
		return nil
	case stateRoot:
		o = spec.IDs.root()
	}
	if err := os.Lchown(dir, int(o.UID), int(o.GID)); err != nil {
		return err
	}
	switch name {
	case stateTmp:
		return os.Chmod(dir, os.ModeSticky|0o777)
	case stateRoot: // its mode is that of / inside
		return os.Chmod(dir, 0o755) //nolint:gosec // the state folder above is the runner's alone
	}
	return nil
}

// makeMountPoints makes those that lie in directories of the job's own on disk;
// nobody has seen these yet. The others are nodes of the root.
func makeMountPoints(spec Spec) error {
	mounts := slices.Clone(spec.Mounts)
	for _, e := range spec.Root.Entries {
		if e.Dir && e.Source != "" {
			mounts = append(mounts, Mount{Target: e.Target})
		}
	}
	for _, m := range mounts {
		for _, place := range []struct{ inside, state string }{{"/tmp", stateTmp}, {spec.Home, stateHome}} {
			rel, ok := strings.CutPrefix(m.Target, place.inside+"/")
			if place.inside == "" || !ok {
				continue
			}
			point := filepath.Join(spec.shared(), place.state, rel)
			dir := point
			if m.File {
				dir = filepath.Dir(point)
			}
			if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the job passes through
				return err
			}
			if m.File {
				f, err := os.OpenFile(point, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // the job sees through it
				if err != nil && !errors.Is(err, os.ErrExist) {
					return err
				}
				if err == nil {
					if err := f.Close(); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// Processes returns the pids of the sandbox, as the host sees them.
func (s *Sandbox) Processes() []int { return s.look.Processes() }

// Close ends whatever still runs and removes the control group. The directories
// below StateDir are the caller's.
func (s *Sandbox) Close() error { return s.close() }

// Start starts the command. The context ends it: first SIGTERM, after Cmd.Grace
// everything is killed.
//
// After Park only what depends on the command is left to do.
func (s *Sandbox) Start(ctx context.Context, cmd *Cmd) (*Process, error) {
	if p := s.parked; p != nil {
		s.parked = nil
		if !cmd.TTY.Any() {
			return s.startParked(ctx, p, cmd)
		}
		if err := p.end(); err != nil { // its streams are pipes
			return nil, err
		}
	}
	prog, err := Compile(s.spec, *cmd, s.probe)
	if err != nil {
		return nil, err
	}
	return s.start(ctx, prog, cmd)
}

func (s *Sandbox) start(ctx context.Context, prog Program, cmd *Cmd) (*Process, error) {
	prep, err := prepare(prog, s.users)
	if err != nil {
		return nil, err
	}
	defer prep.close()
	devpts := -1
	for i, h := range prog.Handles {
		if h.Kind == HandleDevpts {
			devpts = prep.fds[i]
		}
	}
	st, err := openStreams(*cmd, devpts, s.spec.IDs.Owner())
	if err != nil {
		return nil, err
	}
	p, err := s.spawn(ctx, prog, prep, st)
	st.closeChild()
	if err != nil {
		st.close()
		return nil, err
	}
	s.run(ctx, p, cmd)
	return p, nil
}

// run copies the streams of a process that has its command and waits for its end.
func (s *Sandbox) run(ctx context.Context, p *Process, cmd *Cmd) {
	own := *cmd
	own.Stdout, own.Stderr = Serialize(cmd.Stdout, cmd.Stderr)
	p.streams.run(own)
	if cmd.Stay {
		s.staying = p
	}
	p.watch(ctx, own)
}

// give hands the runner's own descriptors to the program's handles.
func give(prog Program, fds []int, own map[HandleKind]int) {
	for i, h := range prog.Handles {
		if fd, ok := own[h.Kind]; ok {
			fds[i] = fd
		}
	}
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// workingDirectory is the error of a directory that cannot be entered.
func workingDirectory(dir string, err error) error {
	return &fs.PathError{Op: OpDir, Path: dir, Err: err}
}

// describe adds what a user needs to an error of the child.
func describe(e *LayerError, cmd []string) error {
	if e.Stage == "chdir" && e.Layer == LayerRootfs {
		return workingDirectory(e.Path, e.Err)
	}
	if e.Stage == "openat2" && e.Layer == LayerRootfs && e.Fix == "" && ShortageHint(e.Err) == "" {
		e.Fix = "mount points are not reached through links, and those below a mount must be there: name another target"
	}
	if e.Stage == "execveat" {
		return fmt.Errorf("bug: start of process 1 for %q: %w", cmd, e.Err)
	}
	return e
}
