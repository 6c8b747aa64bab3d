// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/cgroup"
	"github.com/zviz/run/sandbox/seccomp"
)

// cell is what one job has for itself.
type cell struct {
	work     workspace
	narrowed *PolicyFile // by the repository; nil if it is not
	tools    tools
	presets  []egress.Preset
	more     []egress.Preset // that only policies of steps name
	denials  denials
	canaries *canaries // nil if none are planted
	job      *jobState
	groups   cgroup.Hierarchies // that hold the job's
	around   func() error       // removes the control group around those of the steps; nil if there is none
	places   []place            // what the job can write to and what stays
	network  *egress.Network
	ahead    *egress.Ahead // begun before network; nil if it was not
	packages *jobPackages  // nil if no store answers for registries
	services lateServices
	declared []egress.Service    // of the network: they lead to services
	layer    *packageLayer       // nil if there is none
	layered  bool                // the layer was made, or there was nothing for it
	root     *sandbox.SharedRoot // that the steps of a job write to; nil if they write to none
	tooling  *toolCache          // nil if the operator has none
	loopback *egress.Loopback    // of steps without a network
	spec     sandbox.Spec
	env      []string

	mu      sync.Mutex
	hidden  *hidden            // masked in events
	observe func(egress.Event) // may be nil
	events  []egress.Event
	head    string // hash of the last one
	live    live
	boxes   []*sandbox.Sandbox // one, or those of the steps so far
	steps   []string           // whose the boxes are
}

// hold keeps a sandbox of a step until the cell is closed.
func (c *cell) hold(box *sandbox.Sandbox, step string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boxes = append(c.boxes, box)
	c.steps = append(c.steps, step)
}

// liveSteps returns the steps that have a process; with a pid, the one that has it.
func (c *cell) liveSteps(pid int) []string {
	c.mu.Lock()
	boxes, steps := slices.Clone(c.boxes), slices.Clone(c.steps)
	c.mu.Unlock()
	var out []string
	for i, box := range boxes {
		if pids := box.Processes(); len(pids) > 0 && (pid == 0 || slices.Contains(pids, pid)) {
			out = append(out, steps[i])
		}
	}
	return out
}

// processes returns the pids of the job.
func (c *cell) processes() []int {
	c.mu.Lock()
	boxes := slices.Clone(c.boxes)
	c.mu.Unlock()
	var out []int
	for _, box := range boxes {
		out = append(out, box.Processes()...)
	}
	return out
}

// survey checks what the request says of this machine's files and looks at those that
// the job will see. Nothing is made.
func (x *Executor) survey(r Request) (_ *cell, err error) {
	phase(r, "workspace")
	c := &cell{hidden: hide(r.Secrets), observe: r.Observe}
	if c.work, err = findWorkspace(r.Dir, x.cfg.Home, x.folder()); err != nil {
		return nil, err
	}
	if !r.NoRepositoryPolicy {
		if c.narrowed, err = c.work.policy(r.PolicyFile); err != nil {
			return nil, err
		}
	}
	if c.spec.Profile, err = seccomp.ByName(profileName(r.Policy)); err != nil {
		return nil, err
	}
	if c.spec.Profile.Identity && r.Policy.Rootfs == "" {
		return nil, errNoRootfs
	}
	if c.spec.Mounts, err = checkMounts(r.Policy.Mounts, c.work); err != nil {
		return nil, err
	}
	if err := c.sees(x.look(r.Policy, c.spec.Profile, c.work.top)); err != nil {
		return nil, err
	}
	return c, nil
}

// errNoRootfs refuses profile root over this machine's own files.
var errNoRootfs = hinted{"profile root needs a root file system of its own: this machine's is not for a job to write to", "name one: --rootfs DIR (for a Debian: debootstrap stable DIR)"}

// survey is what a job sees of this machine.
type survey struct {
	tools tools
	root  sandbox.Root
	hide  []string
	err   error
}

// look says what a job sees of this machine; top is its workspace, whose tools do not
// count.
func (x *Executor) look(p Policy, profile seccomp.Profile, top string) survey {
	var s survey
	if p.Rootfs == "" {
		s.tools, s.hide = findTools(x.environ("PATH"), x.cfg.Home, top), credentialFiles()
		s.root, s.err = sandbox.HostRoot(slices.Concat(systemPaths(), s.tools.bind))
	} else {
		s.tools = tools{path: []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}}
		s.root, s.err = sandbox.FolderRoot(p.Rootfs)
		s.root.Overlay = profile.Identity
	}
	if s.err != nil {
		s.err = fmt.Errorf("rootfs: %w", s.err)
	}
	return s
}

// sees takes a survey over.
func (c *cell) sees(s survey) error {
	c.tools, c.spec.Root, c.spec.Hide = s.tools, s.root, s.hide
	return s.err
}

// fill makes the job's folder and what the sandbox is; the network comes later.
func (x *Executor) fill(ctx context.Context, r Request, probe sandbox.Probe, c *cell) (err error) {
	c.groups = probe.Cgroups
	if !r.Policy.NoCanaries {
		c.canaries = newCanaries()
	}
	profile, mounts := c.spec.Profile, c.spec.Mounts
	if len(r.Presets) > 0 && !r.Policy.NoNetwork {
		phase(r, "presets")
		if c.presets, err = x.presets(ctx, r.Presets, r.Policy.AllowMissing); err != nil {
			return err
		}
	}
	if probe.User != nil {
		// The job has the user's own id: what the user may write is the job's as it is.
		c.work.owner = sandbox.Owner{} // the runner itself, as it sees itself
		for i := range mounts {
			owner := c.work.owner
			mounts[i].Owner = &owner
		}
	}
	mounts = append([]sandbox.Mount{c.work.mount(r.Policy)}, mounts...)
	if c.places, err = writable(mounts); err != nil {
		return err
	}
	if c.job, err = newJob(x.folder(), jobFile{Places: c.places, Groups: c.groups}); err != nil {
		return &StateError{Dir: x.folder(), Err: err}
	}
	ids := jobIDs(probe, c.job.Slot)
	files := accountFiles(jobUser, jobHome, ids)
	if profile.Identity {
		if ids, err = rootIDs(probe, c.job.Slot); err != nil {
			return err
		}
		keepAccounts(files)
	}
	c.spec = sandbox.Spec{
		ID: c.job.ID, StateDir: c.job.Dir, Home: homeOf(profile), Hostname: "zviz",
		Root: c.spec.Root, Hide: c.spec.Hide, Files: files, Mounts: mounts,
		IDs:     ids,
		Profile: profile, Limits: defaultLimits(r.Policy.Limits, probe), MinimalProc: profile.Name == "hostile", AllowMissing: r.Policy.AllowMissing,
	}
	c.giveSudo()
	return nil
}

// defaultLimits fills in what the operator did not say.
func defaultLimits(limits sandbox.Limits, probe sandbox.Probe) sandbox.Limits {
	if limits.MemoryBytes == 0 {
		limits.MemoryBytes = probe.MemoryBytes / 5 * 4
	}
	if limits.Pids == 0 {
		limits.Pids = defaultPids
	}
	if limits.OpenFiles == 0 {
		limits.OpenFiles = defaultOpenFiles
	}
	return limits
}

func profileName(p Policy) string {
	if p.Profile == "" {
		return "ci"
	}
	return p.Profile
}

// connect opens the job's network and puts its files and settings inside.
func (x *Executor) connect(ctx context.Context, r Request, c *cell) error {
	phase(r, "network")
	c.denials.onDeny = r.Policy.Egress.OnDeny
	var roots []byte
	if f := x.environ("SSL_CERT_FILE"); f != "" {
		var err error
		if roots, err = os.ReadFile(f); err != nil {
			return fmt.Errorf("SSL_CERT_FILE of the runner: %w", err)
		}
	}
	if r.Policy.Egress.NPM.Publish {
		r.Policy.Egress.Rules = slices.Concat(r.Policy.Egress.Rules, egress.PublishRules(c.presets))
	}
	if c.narrowed != nil {
		r.Policy.Egress = Narrow(r.Policy.Egress, *c.narrowed, c.presets, c.more)
	}
	packages, err := x.packages(r, c)
	if err != nil {
		return err
	}
	n, err := egress.Open(ctx, egress.Config{
		Packages: packages, Offline: r.Policy.Offline, Services: c.declared,
		Ahead: c.ahead, ID: c.job.ID, Policy: r.Policy.Egress, Presets: c.presets, StepPresets: c.more, Roots: roots, Log: x.cfg.Log,
		Proxies: egress.Proxies{
			HTTPS: x.proxyVariable("HTTPS_PROXY"), HTTP: x.proxyVariable("HTTP_PROXY"), No: x.proxyVariable("NO_PROXY"),
		},
		Observe:   c.record,
		Canaries:  c.canaries.find(),
		Processes: c.processes,
		StepOf: func(pid int) string {
			if steps := c.liveSteps(pid); pid != 0 && len(steps) > 0 {
				return steps[0]
			}
			return ""
		},
		LiveSteps: func() []string { return c.liveSteps(0) },
		Credential: func(from string) (string, error) {
			if name, ok := strings.CutPrefix(from, "job:"); ok {
				if value := r.Credentials[name]; value != "" {
					return value, nil
				}
				return "", hinted{"this job has no credential " + name, "name a variable or a file: env:NAME, file:/PATH"}
			}
			return x.credential(from, c.spec.Mounts)
		},
	})
	if _, ok := errors.AsType[*egress.ConfigError](err); ok {
		return fmt.Errorf("network policy: %w", err) // no layer that could be done without
	}
	if err != nil {
		return &sandbox.LayerError{Layer: sandbox.LayerNet, Stage: "network", Err: err}
	}
	c.network = n
	f := n.Files()
	c.spec.NetNS = n.Path()
	for path, data := range map[string][]byte{
		"/etc/resolv.conf": f.ResolvConf, "/etc/hosts": f.Hosts, egress.CABundlePath: f.CABundle, egress.JobCAPath: f.JobCA,
	} {
		if data != nil {
			c.spec.Files[path] = sandbox.File{Data: data}
		}
	}
	hosts := c.spec.Files["/etc/hosts"]
	hosts.Data = append(slices.Clone(hosts.Data), "127.0.0.1 "+c.spec.Hostname+"\n"...) // tools look up the machine they are on
	c.spec.Files["/etc/hosts"] = hosts
	for path, data := range f.Files {
		c.spec.Files[path] = sandbox.File{Data: data}
	}
	c.env = x.environment(c.tools, c.spec.Profile, f.Env, r.TTY.Any(), r.Env)
	return nil
}

// record keeps an event and hands it on.
func (c *cell) record(e egress.Event) {
	c.mu.Lock()
	e = c.hidden.event(e)
	if c.head == "" {
		c.head = egress.ChainStart(c.job.ID)
	}
	head, err := e.Link(c.head)
	if err == nil { // an event is no more than texts and numbers
		c.head = head
	}
	c.events = append(c.events, e)
	c.live.write(c.job.Dir, e)
	observe := c.observe
	c.mu.Unlock()
	c.denials.observe(e)
	if observe != nil {
		observe(e)
	}
}

func (x *Executor) command(r Request, c *cell) sandbox.Cmd {
	grace := r.Grace
	if grace == 0 {
		grace = 500 * time.Millisecond
	}
	env := c.env
	if env == nil {
		env = x.environment(c.tools, c.spec.Profile, nil, r.TTY.Any(), r.Env)
	}
	return sandbox.Cmd{
		Args: r.Args, Env: env, Dir: c.work.dir, Stdin: r.Stdin,
		Stdout: r.Stdout, Stderr: r.Stderr, TTY: r.TTY, Grace: grace,
	}
}

// disks returns the folders of the host whose disks the job can fill.
func (c *cell) disks() []string {
	dirs := []string{c.job.Dir}
	for _, m := range c.spec.Mounts {
		if m.Write && !m.Overlay {
			dirs = append(dirs, m.Source)
		}
	}
	return dirs
}

// readable is what everybody sees: links that lead there lead nowhere new.
func (c *cell) readable() []string {
	var out []string
	for _, e := range c.spec.Root.Entries {
		out = append(out, e.Target)
	}
	return out
}

// close ends what the cell has, in reverse.
func (c *cell) close() error {
	var errs []error
	c.canaries.end()
	for _, box := range slices.Backward(c.boxes) {
		errs = append(errs, box.Close())
	}
	errs = append(errs, c.layer.close(), c.tooling.close())
	if c.root != nil {
		errs = append(errs, c.root.Close())
	}
	if c.around != nil {
		errs = append(errs, c.around())
	}
	c.ahead.Close()
	if c.network != nil {
		errs = append(errs, c.network.Close())
	}
	if c.loopback != nil {
		errs = append(errs, c.loopback.Close())
	}
	errs = append(errs, c.live.close())
	if c.job != nil {
		errs = append(errs, c.job.end(c.groups))
	}
	return errors.Join(errs...)
}
