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
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/pid1"
)

// Config is what an Executor needs of the host.
type Config struct {
	// PackageDir is the package store's; empty: there is none.
	PackageDir string
	StateDir   string   // for locks and what a killed run left; made 0700
	Home       string   // the operator's home directory
	Environ    []string // the operator's environment: PATH for tools, proxies; never given to a job
	Log        *slog.Logger
}

// Executor runs commands and jobs, also many at the same time.
type Executor struct {
	cfg   Config
	state atomic.Pointer[string] // the resolved folder, once open has made it
	probe func() (sandbox.Probe, error)

	packageStore *packageStore // nil without one
	starts       chan struct{} // one in it for each sandbox that is being started
}

// beginStart waits until a sandbox may be started; end says that it has been, or was not.
// A start takes a hundred descriptors for a moment, and the processor all the time: many at
// once would run out of the one and be no faster with the other.
func (x *Executor) beginStart(ctx context.Context) (end func(), err error) {
	select {
	case x.starts <- struct{}{}:
		return func() { <-x.starts }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Request is one command to run.
type Request struct {
	Policy Policy
	// Presets names registries whose hosts and settings the job gets
	// (egress.Presets); they are discovered from the operator's toolchain.
	Presets []string
	Guessed []string // those of Presets that nobody asked for
	// PolicyFile is the operator's file that Policy is from, empty if none is.
	PolicyFile string
	// NoRepositoryPolicy leaves the workspace's own policy (RepositoryPolicyName) unread.
	NoRepositoryPolicy bool

	Args []string
	Env  []string // KEY=VALUE on top of the built-in environment
	Dir  string   // the workspace or a directory below it, absolute

	Secrets []string // values masked in the command's output

	// Private are files of the operator that the command must not be able to read: it
	// is not started if one lies in what it would see of this machine.
	Private []string

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            sandbox.TTY
	Resize         <-chan sandbox.TTY // new window sizes
	Signals        <-chan int         // signal numbers to forward to the command

	// Observe gets every egress event as it happens, and Phase the name of each
	// phase of the start ("network", "sandbox", ""). Both may be nil and must not block.
	Observe func(egress.Event)
	Phase   func(string)
	// Amount gets how far a long phase is, for people; nil discards.
	Amount func(string)

	// Notice gets what the operator should know before the command runs; nil discards.
	Notice func(string)

	// DiffTo gets a unified diff of the text files that the command changed, with
	// Policy.Diff; nil discards.
	DiffTo io.Writer

	Grace time.Duration // between SIGTERM and the end on cancel; 0 means 500 ms

	// Credentials are what rules name as value_from: job:NAME. The gateway puts them
	// into requests; the command does not get them.
	Credentials map[string]string
}

// defaultPids bounds processes and threads of a job; a build of a large C++ tree
// with 64 jobs stays below a thousand.
const defaultPids = 4096

// defaultOpenFiles bounds the open files of one process. The usual 1024 is too
// few for npm and pnpm; some programs walk through as many as there may be.
const defaultOpenFiles = 65536

// New makes an Executor and removes what a killed run left in the state folder.
func New(cfg Config) (*Executor, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	x := &Executor{cfg: cfg, starts: make(chan struct{}, 2*max(2, runtime.GOMAXPROCS(0)))}
	if cfg.PackageDir != "" {
		x.packageStore = newPackageStore(cfg.PackageDir)
	}
	x.probe = sync.OnceValues(func() (sandbox.Probe, error) {
		if comm, err := os.ReadFile("/proc/1/comm"); err == nil && strings.TrimSpace(string(comm)) == pid1.Name {
			return sandbox.Probe{}, errNested
		}
		return sandbox.Measure()
	})
	return x, nil
}

// open checks the machine, prepares the state folder and removes what killed runs
// left there. onHost says that the command will be in the host's network.
func (x *Executor) open(ctx context.Context, probe sandbox.Probe, r Request) (onHost bool, err error) {
	if err := probe.Missing(r.Policy.AllowMissing); err != nil {
		return false, err
	}
	if onHost, err = hostNetwork(probe, r); err != nil {
		return false, err
	}
	if err := x.makeState(); err != nil {
		return false, err
	}
	if err := sweep(ctx, x.folder(), probe.Cgroups, x.cfg.Log); err != nil {
		x.cfg.Log.Warn("sweep of dead jobs", slog.Any("error", err))
	}
	return onHost, nil
}

func (x *Executor) makeState() error {
	state, err := prepareState(x.cfg.StateDir)
	if err != nil {
		return &StateError{Dir: x.cfg.StateDir, Err: err}
	}
	x.state.Store(&state)
	return nil
}

// folder is the state folder, links resolved.
func (x *Executor) folder() string { return *x.state.Load() }

// errNested: a sandbox in a sandbox would have to make namespaces, which is what
// the outer one forbids.
var errNested = hinted{"already inside a sandbox of zviz-runner", "run the command itself: it is sandboxed already"}

// hinted is an error with what to do about it.
type hinted struct{ what, fix string }

func (e hinted) Error() string { return e.what }

// Hint says what to do.
func (e hinted) Hint() string { return e.fix }

// StateError says that the state folder cannot be used.
type StateError struct {
	Dir string
	Err error
}

func (e *StateError) Error() string { return "state folder " + e.Dir + ": " + plain(e.Err).Error() }
func (e *StateError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *StateError) Hint() string {
	switch {
	case errors.Is(e.Err, syscall.EACCES), errors.Is(e.Err, syscall.EPERM), errors.Is(e.Err, syscall.EROFS):
		return "run as root, or name a folder of yours with ZVIZ_STATE_DIR"
	case errors.Is(e.Err, syscall.ENOSPC), errors.Is(e.Err, syscall.EDQUOT):
		return "free space there, or name another disk with ZVIZ_STATE_DIR"
	default:
		return ""
	}
}

// Probe says what this machine offers to a sandbox, layer by layer.
func (x *Executor) Probe(context.Context) (sandbox.Probe, error) { return x.probe() }

// Plan compiles the request and returns what would be done, for people; nothing
// is run and nothing is left behind.
func (x *Executor) Plan(ctx context.Context, r Request) (string, error) {
	probe, err := x.probe()
	if err != nil {
		return "", err
	}
	onHost, err := x.open(ctx, probe, r)
	if err != nil {
		return "", err
	}
	c, err := x.survey(r)
	if err != nil {
		return "", err
	}
	if onHost {
		r.Presets = nil
		if err := c.heldOnHost(probe); err != nil {
			return "", err
		}
	}
	defer func() { _ = c.close() }() //nolint:contextcheck // tear-down outlives the context
	if err := x.fill(ctx, r, probe, c); err != nil {
		return "", err
	}
	switch {
	case onHost:
		c.useHostNetwork()
	case !r.Policy.NoNetwork:
		c.spec.NetNS = "the job's network"
	}
	prog, err := sandbox.Compile(c.spec, x.command(r, c), probe)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "workspace %s (files of %d:%d)\nworking directory %s\nprofile %s, rootfs %s\n", c.work.top, c.work.owner.UID, c.work.owner.GID, c.work.dir, c.spec.Profile.Name, rootName(r.Policy))
	fmt.Fprintf(&b, "limits memory %d bytes, pids %d, cpus %g, wall %v\n", c.spec.Limits.MemoryBytes, c.spec.Limits.Pids, c.spec.Limits.CPUs, c.spec.Limits.Wall)
	if c.narrowed != nil {
		fmt.Fprintln(&b, narrowedNote)
	}
	for _, rule := range r.Policy.Egress.Rules {
		fmt.Fprintf(&b, "allow %s\n", rule)
	}
	for _, p := range c.presets {
		for _, rule := range p.Rules {
			fmt.Fprintf(&b, "allow %s (preset %s, %s)\n", rule, p.Name, rule.Origin)
		}
	}
	b.WriteString("layers\n")
	for _, l := range prog.Layers {
		fmt.Fprintf(&b, "  %-13s %-8s %s\n", l.Name, l.State, l.Detail)
	}
	b.WriteString("\n" + prog.String())
	return b.String(), nil
}

func rootName(p Policy) string {
	if p.Rootfs == "" {
		return string(sandbox.RootHost)
	}
	return p.Rootfs
}

func phase(r Request, name string) {
	if r.Phase != nil {
		r.Phase(name)
	}
}

// Exec runs one command. The error is an error of ours (a *sandbox.LayerError,
// a bad workspace); the Report is filled in as far as the run came.
func (x *Executor) Exec(ctx context.Context, r Request) (_ Report, err error) {
	report := newReport(r)
	defer phase(r, "")
	r.Policy.Egress.Steps = nil // one command is no step of a job
	// What takes long and needs nothing of the rest is begun first.
	go func() { _, _ = x.probe() }()
	alone := beginAlone(r)
	defer alone.close()
	if err := x.makeState(); err != nil {
		return report, err
	}
	c, unfit := x.survey(r)
	probe, err := x.probe()
	if err != nil {
		return report, err
	}
	onHost, err := x.open(ctx, probe, r)
	if err != nil {
		return report, err
	}
	if unfit != nil {
		return report, unfit
	}
	if onHost {
		if err := c.heldOnHost(probe); err != nil {
			return report, err
		}
		report.Egress.Complete, r.Presets = false, nil
		if r.Notice != nil {
			r.Notice(hostNetworkNote)
		}
	}
	if c.narrowed != nil && r.Notice != nil && !r.Policy.NoNetwork {
		r.Notice(narrowedNote)
	}
	defer func() { //nolint:contextcheck // tear-down outlives the context
		if cerr := c.close(); cerr != nil {
			x.cfg.Log.Warn("tear-down", slog.String("job", report.ID), slog.Any("error", cerr))
		}
	}()
	if err := x.fill(ctx, r, probe, c); err != nil {
		return report, err
	}
	if err := keepApart(r.Private, c.spec); err != nil {
		return report, err
	}
	report.ID, report.Limits = c.job.ID, reportLimits(c.spec.Limits)
	switch {
	case onHost:
		c.useHostNetwork()
	case !r.Policy.NoNetwork:
		if err := x.connect(ctx, r, c); err != nil {
			return report, err
		}
	default:
		if err := alone.join(c); err != nil {
			return report, err
		}
	}
	phase(r, "sandbox")
	list := append(watched(), gitPaths(c.work, x.cfg.Home)...)
	began := readClock()
	var before watchState
	var look sync.WaitGroup
	look.Go(func() { before = snapshot(c.work, list) })
	spec := c.spec
	if err = x.layExec(ctx, c, probe); err == nil {
		spec.Shared = c.spec.Shared
		spec.Mounts = slices.Concat(spec.Mounts, c.layer.mounts(spec.Home))
	}
	var box *sandbox.Sandbox
	if err == nil {
		box, err = sandbox.New(spec, probe)
	}
	look.Wait() // nothing of the job runs yet
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok && !isLayer(err) {
			err = &StateError{Dir: x.folder(), Err: err}
		}
		return report, err
	}
	c.hold(box, "")
	c.plantIn(func(err error) { x.cfg.Log.Warn("plant canaries", slog.Any("error", err)) })

	var said tail
	res, layers, err := x.run(ctx, r, c, box, &said)
	report.Layers = layers
	c.canaries.end()
	left := collect(ctx, r, c, began) // whatever went wrong: the command may have run
	report.Leftovers = ReportLeftovers{Entries: int(left.entries.Load()), Incomplete: left.incomplete}
	if err == nil && res.Cause == sandbox.CauseNotStarted && sandbox.ShortageHint(res.StartErr) != "" {
		err = fmt.Errorf("start of %q: %w", r.Args[0], res.StartErr) // says nothing of the command
	}
	if err != nil {
		// The command may have run. What it did is evidence, whatever went wrong here.
		return report, errors.Join(err, c.closeInto(&report, res)) //nolint:contextcheck // tear-down outlives the context
	}
	if r.Policy.Ephemeral || r.Policy.Diff {
		report.Changed, err = overlayChanges(c.spec, c.work, r.DiffTo)
	} else {
		report.Changed = before.compare(snapshot(c.work, list), list)
	}
	report.Changed = append(report.Changed, left.changes...)
	for i := range report.Changed {
		report.Changed[i].Path = c.hidden.text(report.Changed[i].Path)
	}
	err = errors.Join(err, c.closeInto(&report, res)) //nolint:contextcheck // tear-down outlives the context
	report.offer(c.layer.packages())
	ended := c.denials.end()
	if found, ok := errors.AsType[*CanaryError](ended); ok {
		report.Conclusion = Failure
		report.Error = &ReportError{Code: found.Code(), What: c.hidden.text(found.Error()), Why: found.Why(), Fix: found.Hint(), Exit: 1}
	}
	if d, ok := errors.AsType[*DeniedError](ended); ok && res.Cause == sandbox.CauseCancelled {
		report.Conclusion = Failure
		report.Error = &ReportError{Code: d.Code(), What: d.Error(), Fix: d.Hint(), Exit: 1}
	}
	if report.Conclusion == Failure {
		for _, d := range said.deniedFiles(newView(c, r.Policy)) {
			d.Path = c.hidden.text(d.Path)
			report.Denials = append(report.Denials, d)
		}
		report.Limits.Reached = said.limit()
	}
	return report, err
}

// closeInto closes the network of a cell and fills in how its command ended, if it
// started, and what the network saw.
func (c *cell) closeInto(report *Report, res sandbox.Result) (err error) {
	if c.network != nil {
		err = c.network.Close()
		report.Egress.Complete = c.network.Complete()
	}
	report.Egress.Head = c.head
	if res.Cause == "" {
		report.connections(c.events)
	} else {
		report.finish(res, c.events)
	}
	return err
}

// progressStep is after what time, and how often, a long look at what was left is
// shown.
const progressStep = 300 * time.Millisecond

// collect looks at what the command left.
func collect(ctx context.Context, r Request, c *cell, began clock) *leftovers {
	ctx, cancel := graced(ctx, walkGrace)
	defer cancel(nil)
	l := newLeftovers(ctx, began.since(readClock()))
	done := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		tick := time.NewTicker(progressStep)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			phase(r, "look at what it left")
			if r.Amount != nil {
				r.Amount(strconv.FormatInt(l.entries.Load(), 10) + " entries")
			}
		}
	})
	l.settle(c.work.top, c.places, c.readable())
	close(done)
	shown.Wait()
	return l
}

func isLayer(err error) bool {
	_, ok := errors.AsType[*sandbox.LayerError](err)
	return ok
}

// run starts the command and waits for it.
func (x *Executor) run(ctx context.Context, r Request, c *cell, box *sandbox.Sandbox, said *tail) (sandbox.Result, []sandbox.LayerReport, error) {
	cmd := x.command(r, c)
	cmd.Stdout, cmd.Stderr = sandbox.Serialize(cmd.Stdout, cmd.Stderr)
	masks := c.hidden.streams(&cmd)
	cmd.Stdout, cmd.Stderr = c.listen(said.through(cmd.Stdout)), c.listen(said.through(cmd.Stderr))
	ctx, full := context.WithCancelCause(ctx)
	defer full(nil)
	// The limit is the command's. The start gets a minute at least: a busy machine
	// must not make a short limit an error of ours.
	wall := c.spec.Limits.Wall
	if err := c.denials.begin(full); err != nil {
		return sandbox.Result{}, nil, err
	}
	disks := newDiskWatch(c.disks()...)
	timer := time.AfterFunc(max(wall, time.Minute), func() { full(context.DeadlineExceeded) })
	defer timer.Stop()
	started, err := x.beginStart(ctx)
	if err != nil {
		return sandbox.Result{}, nil, err
	}
	p, err := box.Start(ctx, &cmd)
	started()
	if err != nil {
		return sandbox.Result{}, nil, err
	}
	timer.Stop()
	if wall > 0 {
		timer.Reset(wall)
	}
	phase(r, "")
	ended := make(chan struct{})
	var relay sync.WaitGroup
	relay.Go(func() { disks.run(ended, full) })
	relay.Go(func() {
		for {
			select {
			case <-ended:
				return
			case n := <-r.Signals:
				_ = p.Signal(syscall.Signal(n)) // ESRCH: it is gone
			case t := <-r.Resize:
				_ = p.Resize(t)
			}
		}
	})
	res, err := p.Wait()
	close(ended)
	relay.Wait()
	return res, p.Layers, errors.Join(err, masks.flush())
}

// signalName is "SIGKILL" for 9.
func signalName(s syscall.Signal) string {
	if s == 0 {
		return ""
	}
	return unix.SignalName(s)
}
