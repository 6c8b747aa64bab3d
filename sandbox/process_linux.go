// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
	"github.com/zviz/run/sandbox/cgroup"
	"github.com/zviz/run/sandbox/pid1"
)

// Process is a running command.
type Process struct {
	Layers []LayerReport // what was really applied

	dir     string // of the command, if process 1 enters it
	group   *cgroup.Group
	streams *streams
	super   *supervisor // nil without seccomp
	started time.Time

	pid     int
	mounts  int // its mount namespace, or -1
	handle  *linux.Handle
	control *os.File // process 1 ends when it closes
	status  *os.File

	mu    sync.Mutex
	cause Cause // why we ended it; empty if we did not

	done chan struct{} // closed when the result is there
	gone chan struct{} // closed when process 1 is gone, with Cmd.Stay
	res  Result
	err  error
}

// spawn runs the program and returns when the command's process 1 has all its
// layers on and may start.
func (s *Sandbox) spawn(ctx context.Context, prog Program, prep *prepared, st *streams) (_ *Process, err error) {
	var joins []int // what the child joins control groups by
	defer func() { closeAll(joins...) }()
	var ends []int // every end of every pipe that is still ours to close
	pipe := func() (r, w int) {
		if err != nil {
			return -1, -1
		}
		if r, w, err = linux.Pipe(); err == nil {
			ends = append(ends, r, w)
		}
		return r, w
	}
	syncR, syncW := pipe()
	readyR, readyW := pipe()
	controlR, controlW := pipe()
	statusR, statusW := pipe()
	defer func() { closeAll(ends...) }()
	if err != nil {
		return nil, err
	}
	fds := append([]int(nil), prep.fds...)
	give(prog, fds, map[HandleKind]int{
		HandleSync: syncR, HandleReady: readyW, HandleControl: controlR, HandleStatus: statusW,
		HandleStdin: st.child[0], HandleStdout: st.child[1], HandleStderr: st.child[2],
	})
	for i, h := range prog.Handles {
		if h.Kind != HandleGroup {
			continue
		}
		fd, err := s.group.Tasks(h.Name)
		if err == nil {
			fd, err = linux.HighFD(fd)
		}
		if err != nil {
			return nil, &LayerError{Layer: h.Layer, Stage: "cgroup", Err: err}
		}
		fds[i], joins = fd, append(joins, fd)
	}
	arena, err := load(prog, fds)
	if err != nil {
		return nil, err
	}
	defer func() { _ = arena.Free() }() // after the wait below nobody walks it: the child is process 1, or gone
	pid, pidfd, err := linux.SpawnKept(arena, linux.SpawnFlags(prog.Flags), s.group.FD())
	if err != nil {
		return nil, &LayerError{Layer: LayerPID, Stage: "clone3", Err: err}
	}
	p := &Process{
		Layers: prog.Layers, group: s.group, streams: st, started: time.Now(),
		pid: pid, mounts: -1, handle: linux.NewHandle(pidfd), done: make(chan struct{}), gone: make(chan struct{}),
	}
	// A mount can hang (a dead network file system): the context ends the wait.
	stop := context.AfterFunc(ctx, func() { _ = p.handle.Kill(syscall.SIGKILL) })
	defer stop()
	abandon := func(err error) (*Process, error) {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // whatever failed did so because it was killed
		}
		_ = p.handle.Kill(syscall.SIGKILL)
		_, _, werr := linux.Wait(pid)
		for _, f := range []*os.File{p.status, p.control} {
			if f != nil {
				_ = f.Close()
			}
		}
		return nil, errors.Join(err, werr, p.handle.Close())
	}
	// The child's ends: whoever keeps one keeps the other side from seeing its end.
	closeAll(syncR, readyW, controlR, statusW)
	ends = []int{syncW, readyR, controlW, statusR}
	var b [1]byte
	n, err := unix.Read(readyR, b[:])
	if err != nil {
		return abandon(os.NewSyscallError("read", err))
	}
	if n == 0 {
		_, err := abandon(nil)
		if f := failure(prog, arena); f != nil {
			return nil, errors.Join(describe(f, prog.Command.Args), err)
		}
		if err != nil {
			return nil, err
		}
		return nil, &LayerError{Layer: LayerPID, Stage: "start", Err: errors.New("the first process died before it was ready")}
	}
	for i, c := range prog.Calls {
		if c.Name != "seccomp" {
			continue
		}
		fd, err := unix.PidfdGetfd(pidfd, int(arena.Ops()[i].Ret), 0)
		if err != nil {
			return abandon(&LayerError{Layer: LayerSeccomp, Stage: "pidfd_getfd", Err: err})
		}
		if p.super, err = supervise(fd, s.spec.Profile); err != nil {
			return abandon(err)
		}
	}
	if p.status, err = file(statusR, "status"); err != nil {
		return abandon(err)
	}
	p.control = os.NewFile(uintptr(controlW), "control")
	ends = []int{syncW, readyR}
	if _, err := unix.Write(syncW, []byte("g")); err != nil {
		return abandon(os.NewSyscallError("write", err))
	}
	// The ready pipe's other end closes at execve, or with the child's end.
	if _, err := unix.Read(readyR, b[:]); err != nil {
		return abandon(os.NewSyscallError("read", err))
	}
	if f := failure(prog, arena); f != nil {
		return abandon(describe(f, prog.Command.Args))
	}
	if !stop() {
		return abandon(context.Cause(ctx)) // it is killed, or will be
	}
	p.mounts = holdMounts(pid)
	// Not before: until execve it shares our memory, and the value would be ours.
	_ = linux.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), "500")
	return p, nil
}

// holdMounts keeps the kernel from taking the mounts apart in the end of process 1,
// for which everybody waits: it takes longer than the rest of that end, and needs
// nobody. It is no error if it cannot.
func holdMounts(pid int) int {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// dropMounts lets the kernel do it, beside what comes.
func (p *Process) dropMounts() {
	if fd := p.mounts; fd >= 0 {
		p.mounts = -1
		go closeAll(fd)
	}
}

// watch reaps process 1 and ends it when it is time.
func (p *Process) watch(ctx context.Context, cmd Cmd) {
	exited := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-exited:
			return
		case <-ctx.Done():
		}
		select {
		case <-exited: // both, and its end was the first
			return
		default:
		}
		cause := CauseCancelled
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			cause = CauseTimeout
		}
		grace := cmd.Grace
		if errors.Is(context.Cause(ctx), ErrDisk) {
			cause, grace = CauseDisk, 0
		}
		p.End(cause, grace, exited)
	})
	if cmd.Stay {
		go p.reapCommand(ctx, exited, &watcher)
	} else {
		go p.reap(ctx, exited, &watcher)
	}
}

// End asks the command to end and after the grace ends everything.
func (p *Process) End(cause Cause, grace time.Duration, exited <-chan struct{}) {
	p.mu.Lock()
	if p.cause == "" {
		p.cause = cause
	}
	p.mu.Unlock()
	_ = p.handle.Kill(syscall.SIGTERM) // ESRCH: it is gone already
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-exited:
	case <-t.C:
		p.kill()
	}
}

// kill ends every process of the sandbox. The death of process 1 ends its pid
// namespace; the control group catches what the kernel has not got to yet.
func (p *Process) kill() {
	_ = p.handle.Kill(syscall.SIGKILL)
	_ = p.group.Kill()
}

func (p *Process) reap(ctx context.Context, exited chan<- struct{}, watcher *sync.WaitGroup) {
	defer close(p.done)
	record, err := io.ReadAll(io.LimitReader(p.status, pid1.RecordSize))
	p.err = errors.Join(err, p.status.Close())
	ws, ru, err := linux.Wait(p.pid)
	p.dropMounts()
	p.err = errors.Join(p.err, err)
	close(exited)
	watcher.Wait() // the group may be gone and its name another's as soon as we are done
	wall := time.Since(p.started)
	p.kill() // whatever left the pid namespace's reach did not: this only makes sure
	p.drain(ctx)
	p.err = errors.Join(p.err, p.control.Close())
	if p.super != nil {
		denials, err := p.super.result()
		p.res.Denials, p.err = denials, errors.Join(p.err, err)
	}
	u := p.group.Usage()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.res.Usage = Usage{
		Wall: wall, User: time.Duration(ru.Utime.Nano()), System: time.Duration(ru.Stime.Nano()),
		MemoryPeakBytes: u.MemoryPeakBytes, PidsPeak: u.PidsPeak, PidsDenied: p.group.PidsDenied(), OOMKills: u.OOMKills,
	}
	p.conclude(record, ws, u.OOMKills > 0)
	p.err = errors.Join(p.err, p.handle.Close())
}

// reapCommand waits for the command only. What it started lives on, and so do its
// streams, until leave.
func (p *Process) reapCommand(ctx context.Context, exited chan<- struct{}, watcher *sync.WaitGroup) {
	defer close(p.gone)
	record, err := io.ReadAll(io.LimitReader(p.status, pid1.RecordSize))
	p.err = errors.Join(err, p.status.Close())
	var ws syscall.WaitStatus
	ended := len(record) < pid1.RecordSize // process 1 itself was killed
	if ended {
		ws, _, err = linux.Wait(p.pid)
		p.err = errors.Join(p.err, err)
	}
	close(exited)
	watcher.Wait()
	wall := time.Since(p.started)
	p.catchUp(ctx)
	if p.super != nil {
		denials, err := p.super.soFar()
		p.res.Denials, p.err = denials, errors.Join(p.err, err)
	}
	u := p.group.Usage()
	p.mu.Lock()
	p.res.Usage = Usage{Wall: wall, MemoryPeakBytes: u.MemoryPeakBytes, PidsPeak: u.PidsPeak, PidsDenied: p.group.PidsDenied(), OOMKills: u.OOMKills}
	p.conclude(record, ws, u.OOMKills > 0)
	p.mu.Unlock()
	close(p.done)
	if !ended {
		_, _, _ = linux.Wait(p.pid)
	}
	_ = p.control.Close()
}

// leave ends what a command that stays left behind.
func (p *Process) leave() {
	p.kill()
	<-p.gone
	p.dropMounts()
	p.streams.close()
	p.streams.wg.Wait()
	if p.super != nil {
		_, _ = p.super.result()
	}
	_ = p.handle.Close()
}

// catchUp waits until what the command wrote is read. The end of the streams does
// not come: a process in the background may hold them.
func (p *Process) catchUp(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		p.streams.wg.Wait()
		close(ended)
	}()
	limit := time.NewTimer(drainLimit)
	defer limit.Stop()
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
		if p.streams.empty() {
			return
		}
		select {
		case <-ended:
			return
		case <-ctx.Done():
			select {
			case <-ended:
			case <-limit.C:
			}
			return
		case <-time.After(wait):
		}
	}
}

// drainLimit is how long a caller that was told to end may take for what the
// command wrote before.
const drainLimit = time.Second

// drain waits until the caller has taken all output. One that does not read holds
// us only until the context ends.
func (p *Process) drain(ctx context.Context) {
	drained := make(chan struct{})
	go func() {
		p.streams.wg.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-ctx.Done():
		select {
		case <-drained:
		case <-time.After(drainLimit):
		}
	}
	p.streams.close()
}

// conclude turns the record of process 1, or its own end if it wrote none, into
// a result.
func (p *Process) conclude(record []byte, own syscall.WaitStatus, oom bool) {
	r := &p.res
	kind, value := uint32(pid1.RecordStatus), uint32(own)
	if len(record) == pid1.RecordSize {
		kind, value = binary.LittleEndian.Uint32(record), binary.LittleEndian.Uint32(record[4:])
	}
	switch kind {
	case pid1.RecordDir:
		r.Cause, r.StartErr, r.ExitCode = CauseNotStarted, syscall.Errno(value), 126
		p.err = errors.Join(p.err, workingDirectory(p.dir, r.StartErr))
		return
	case pid1.RecordErrno:
		r.Cause, r.StartErr, r.ExitCode = CauseNotStarted, syscall.Errno(value), 126
		if r.StartErr == syscall.ENOENT || r.StartErr == syscall.ENOTDIR {
			r.ExitCode = 127
		}
		return
	}
	ws := syscall.WaitStatus(value)
	switch {
	case ws.Signaled():
		r.Signal, r.ExitCode, r.Cause = ws.Signal(), 128+int(ws.Signal()), CauseSignalled
	default:
		r.ExitCode, r.Cause = ws.ExitStatus(), CauseExited
	}
	switch {
	case p.cause != "":
		r.Cause = p.cause
		if r.Cause == CauseTimeout {
			r.ExitCode = 124
		}
	case oom && r.ExitCode != 0:
		// Also if the command lived on: cgroup v1 kills one process only, and what
		// npm or make then say is a code of their own.
		r.Cause = CauseOOM
	}
}

// Wait waits for the end of the command and of everything that it left. The
// error is one of ours.
func (p *Process) Wait() (Result, error) {
	<-p.done
	return p.res, p.err
}

// Signal sends a signal to the command's process group.
func (p *Process) Signal(sig syscall.Signal) error { return p.handle.Kill(sig) }

// Resize tells the command's terminal its new size.
func (p *Process) Resize(t TTY) error { return p.streams.resize(t) }

// PID is the host's pid of process 1.
func (p *Process) PID() int { return p.pid }
