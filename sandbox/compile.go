// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/zviz/run/sandbox/landlock"
	"github.com/zviz/run/sandbox/pid1"
	"github.com/zviz/run/sandbox/seccomp"
)

// Flags and constants of the child's calls, with the value that is the same on
// both architectures. They are here as numbers so that a program can be compiled
// for any architecture on any system.
const (
	cloneNewNS, cloneNewCgroup, cloneNewUTS, cloneNewIPC      = 0x20000, 0x2000000, 0x4000000, 0x8000000 // clone(2)
	cloneNewUser, cloneNewPID, cloneNewNet                    = 0x10000000, 0x20000000, 0x40000000
	atFDCWD, atEmptyPath                                      = -100, 0x1000 // openat(2)
	oPath, oDirectory, oCloexec, oWronly                      = 0x200000, 0x10000, 0x80000, 1
	msRdonly, msNosuid, msNodev, msNoexec, msRemount          = 1, 2, 4, 8, 32 // mount(2)
	msBind, msRec, msPrivate                                  = 4096, 16384, 1 << 18
	mntDetach                                                 = 2
	moveMountFEmptyPath, moveMountTEmptyPath                  = 4, 0x40 // move_mount(2)
	resolveNoMagiclinks, resolveNoSymlinks, resolveBeneath    = 2, 4, 8 // openat2(2)
	openHowSize                                               = 24
	prSetPdeathsig, prCapbsetDrop, prSetSecurebits            = 1, 24, 28 // prctl(2)
	prSetNoNewPrivs, prCapAmbient, prCapAmbientClearAll       = 38, 47, 4
	seccompSetModeFilter                                      = 1 // seccomp(2)
	seccompFlagSpecAllow, seccompFlagNewListener, seccompWait = 4, 8, 32
	sigkill                                                   = 9
	keyctlJoinSession                                         = 1 // keyctl(2)
	siocSIFFlags, iffUp                                       = 0x8914, 1
	rlimitCore, rlimitNproc, rlimitNofile                     = 4, 6, 7
	landlockRulePathBeneath                                   = 1
	// All securebits but KEEP_CAPS, and their locks (capabilities(7)): root gains
	// nothing by being root, and that cannot be changed.
	securebits = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40 | 0x80
	// Root inside keeps what it has over an execve, and loses it when it becomes
	// somebody else: NOROOT and NO_SETUID_FIXUP are off, and locked so. KEEP_CAPS is
	// not locked: setpriv(1) sets it, and an execve clears it.
	rootSecurebits = 0x02 | 0x08 | 0x40 | 0x80
	openFilesHard  = 1 << 20

	syncFD, readyFD, initFD = pid1.StatusFD + 1, pid1.StatusFD + 2, pid1.StatusFD + 3
)

// compiler collects a program.
type compiler struct {
	spec  Spec
	cmd   Cmd
	probe Probe
	p     Program
	err   error

	waiting bool // process 1 is told later what to start

	mounts []placed
	rules  int // index of the ruleset's handle, -1 without
}

// placed is a handle that is mounted at a path of the new root.
type placed struct {
	target string
	handle int
	write  bool
	dir    bool
	held   bool // may be left out, if the job has something else there
}

// Compile turns a sandbox and a command into the program that starts it. It is
// pure: it reads nothing but its arguments. A layer that the probe says is
// missing is a LayerError unless the spec allows it.
func Compile(spec Spec, cmd Cmd, probe Probe) (Program, error) {
	if err := cmd.validate(); err != nil {
		return Program{}, err
	}
	c := &compiler{spec: spec, cmd: cmd, probe: probe, rules: -1}
	return c.compile()
}

// compileWaiting compiles a start whose process 1 waits for its command.
func compileWaiting(spec Spec, probe Probe) (Program, error) {
	c := &compiler{spec: spec, cmd: Cmd{Dir: "/"}, probe: probe, rules: -1, waiting: true}
	return c.compile()
}

func (c *compiler) compile() (Program, error) {
	if err := c.spec.validate(c.probe.User != nil); err != nil {
		return Program{}, err
	}
	c.p.Arch = c.probe.Arch
	for _, step := range []func(){
		c.namespaces, c.groups, c.network, c.root, c.identity, c.streams,
		c.noNewPrivs, c.landlock, c.capabilities, c.limits, c.seccomp, c.start,
	} {
		if step(); c.err != nil {
			return Program{}, c.err
		}
	}
	for _, call := range c.p.Calls {
		if _, ok := number(c.p.Arch, call.Name); !ok {
			return Program{}, fmt.Errorf("bug: no number for %s on %s", call.Name, c.p.Arch)
		}
	}
	return c.p, nil
}

func (s Spec) validate(user bool) error {
	if err := s.IDs.validate(user); err != nil {
		return err
	}
	if s.Limits.MemoryBytes != 0 && s.Limits.MemoryBytes < 16<<20 {
		return fmt.Errorf("memory limit %d is below 16 MiB", s.Limits.MemoryBytes)
	}
	if len(s.Hostname) > 64 {
		return fmt.Errorf("host name of %d bytes: at most 64", len(s.Hostname))
	}
	for _, h := range s.Hide {
		if !path.IsAbs(h) || path.Clean(h) != h {
			return fmt.Errorf("bug: hidden path %q is not absolute and clean", h)
		}
	}
	for _, m := range s.Mounts {
		if !path.IsAbs(m.Target) || path.Clean(m.Target) != m.Target || m.Target == "/" {
			return fmt.Errorf("mount target %q: must be an absolute, clean path below /", m.Target)
		}
		for _, own := range []string{"/proc", "/sys", "/dev"} {
			if m.Target == own || strings.HasPrefix(m.Target, own+"/") {
				return fmt.Errorf("mount target %q: %s is a part of the system", m.Target, own)
			}
		}
	}
	return nil
}

func (c Cmd) validate() error {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return errors.New("empty command")
	}
	for _, s := range slices.Concat(c.Args, c.Env, []string{c.Dir}) {
		if strings.IndexByte(s, 0) >= 0 {
			return errors.New("a null byte in the command or its environment")
		}
	}
	if !path.IsAbs(c.Dir) {
		return fmt.Errorf("working directory %q is not absolute", c.Dir)
	}
	return nil
}

// offered decides what happens to a layer: true means that it is compiled in.
func (c *compiler) offered(l Layer) bool {
	o := c.probe.Offer(l)
	if o.OK {
		return true
	}
	if slices.Contains(c.spec.AllowMissing, l) && !l.Required() {
		c.applied(l, MissingAllowed, o.Evidence)
		return false
	}
	c.fail(&LayerError{Layer: l, Err: errors.New(o.Evidence), Fix: o.Fix})
	return false
}

func (c *compiler) applied(l Layer, s LayerState, detail string) {
	c.p.Layers = append(c.p.Layers, LayerReport{Name: l, State: s, Detail: detail})
}

func (c *compiler) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *compiler) handle(h Handle) int {
	c.p.Handles = append(c.p.Handles, h)
	return len(c.p.Handles) - 1
}

func (c *compiler) call(l Layer, object, name string, args ...Arg) int {
	c.p.Calls = append(c.p.Calls, Call{Layer: l, Name: name, Args: args, Object: object})
	return len(c.p.Calls) - 1
}

func (c *compiler) mayFail() { c.p.Calls[len(c.p.Calls)-1].MayFail = true }

// namespaces picks those that clone3 makes. The user namespace is entered last,
// so that the job's user namespace owns none of the others.
func (c *compiler) namespaces() {
	for _, use := range []Layer{LayerPids, LayerMemory, LayerCPU, LayerKill} {
		if c.offered(use) {
			c.applied(use, Applied, c.probe.Offer(use).Evidence)
		}
	}
	for _, ns := range []struct {
		layer Layer
		flag  uint64
	}{{LayerPID, cloneNewPID}, {LayerMount, cloneNewNS}, {LayerIPC, cloneNewIPC}, {LayerUTS, cloneNewUTS}, {LayerCgroup, cloneNewCgroup}} {
		if c.offered(ns.layer) {
			c.p.Flags |= ns.flag
			c.applied(ns.layer, Applied, "")
		}
	}
	// A job must not find the keys of the runner's session (keyrings(7)).
	c.call(LayerUser, "session keyring", "keyctl", num(keyctlJoinSession), num(0))
	c.mayFail()
}

// groups joins the control groups in which the process is not born.
func (c *compiler) groups() {
	for _, use := range c.probe.Cgroups.Joined(WithoutGroups(c.spec, c.probe)) {
		h := c.handle(Handle{Kind: HandleGroup, Layer: Layer(use), Name: use})
		c.call(Layer(use), "control group", "write", handle(h), data([]byte("0")), num(1))
	}
}

// WithoutGroups names the uses of control groups that the spec goes without on this
// machine.
func WithoutGroups(spec Spec, probe Probe) []string {
	var without []string
	for _, l := range []Layer{LayerKill, LayerMemory, LayerPids, LayerCPU} {
		if slices.Contains(spec.AllowMissing, l) && !probe.Offer(l).OK {
			without = append(without, string(l))
		}
	}
	if probe.PidsByRlimit {
		without = append(without, string(LayerPids))
	}
	return without
}

func (c *compiler) network() {
	if o := c.probe.Offer(LayerNet); !o.OK && slices.Contains(c.spec.AllowMissing, LayerNet) {
		if !c.spec.HostNetwork || c.spec.NetNS != "" {
			c.fail(&LayerError{Layer: LayerNet, Err: errors.New(o.Evidence), Fix: o.Fix})
			return
		}
		c.applied(LayerNet, MissingAllowed, "the command is in this machine's network: "+o.Evidence)
		return
	}
	if !c.offered(LayerNet) {
		return
	}
	if c.spec.NetNS != "" {
		h := c.handle(Handle{Kind: HandleNetNS, Layer: LayerNet, Name: "network", Source: c.spec.NetNS})
		c.call(LayerNet, "network namespace", "setns", handle(h), num(cloneNewNet))
		c.applied(LayerNet, Applied, "the job's network")
		return
	}
	c.p.Flags |= cloneNewNet
	s := c.call(LayerNet, "", "socket", num(2), num(2|oCloexec), num(0))
	ifreq := make([]byte, 40) // netdevice(7)
	copy(ifreq, "lo")
	binary.NativeEndian.PutUint16(ifreq[16:], iffUp)
	c.call(LayerNet, "lo", "ioctl", resultOf(s), num(siocSIFFlags), data(ifreq))
	f := c.call(LayerNet, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "openat", num(atFDCWD), text("/proc/sys/net/ipv4/ip_unprivileged_port_start"), num(oWronly|oCloexec), num(0))
	c.call(LayerNet, "ip_unprivileged_port_start", "write", resultOf(f), data([]byte("0")), num(1))
	c.applied(LayerNet, Applied, "loopback only")
}

// identity enters the user namespace and becomes the job's user.
func (c *compiler) identity() {
	if !c.offered(LayerUser) {
		return
	}
	h := c.handle(Handle{Kind: HandleUserNS, Layer: LayerUser, Name: "user namespace", IDs: c.spec.IDs})
	c.call(LayerUser, "user namespace", "setns", handle(h), num(cloneNewUser))
	gid, uid := int64(c.spec.IDs.GID), int64(c.spec.IDs.UID)
	c.call(LayerUser, "", "setresgid", num(gid), num(gid), num(gid))
	if !c.spec.IDs.KeepGroups {
		c.call(LayerUser, "", "setgroups", num(0), num(0))
	}
	c.call(LayerUser, "", "setresuid", num(uid), num(uid), num(uid))
	c.call(LayerUser, "", "umask", num(0o022))
	c.call(LayerRootfs, c.cmd.Dir, "chdir", text(c.cmd.Dir))
	detail := fmt.Sprintf("uid %d is %d on the host", uid, c.spec.IDs.Owner().UID)
	if c.probe.User != nil {
		detail = fmt.Sprintf("uid %d is the user of the runner", uid)
	}
	if c.spec.IDs.KeepGroups {
		detail += ", with its supplementary groups"
	}
	c.applied(LayerUser, Applied, detail)
}

// limits come when nothing is opened any more: a runner with many jobs has
// descriptors of higher numbers than a job may have.
func (c *compiler) limits() {
	if !c.offered(LayerRlimits) {
		return
	}
	limit := func(name string, which int64, soft, hard uint64) {
		b := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, soft), hard)
		c.call(LayerRlimits, name, "prlimit64", num(0), num(which), data(b), num(0))
	}
	// No limit is raised: that would need a capability of the host's (prlimit(2)).
	hard := min(uint64(openFilesHard), c.probe.OpenFilesMax)
	soft := uint64(65536)
	if c.spec.Limits.OpenFiles > 0 {
		soft = uint64(c.spec.Limits.OpenFiles)
	}
	soft = min(soft, hard)
	limit("RLIMIT_NOFILE", rlimitNofile, soft, hard)
	if n := uint64(c.spec.Limits.Pids); n > 0 && c.probe.PidsByRlimit {
		limit("RLIMIT_NPROC", rlimitNproc, n, n)
	}
	// 1, not 0: a core_pattern that starts with | runs a host program for limit 0
	// too, and 1 is the value that it skips (core(5)).
	limit("RLIMIT_CORE", rlimitCore, 1, 1)
	c.applied(LayerRlimits, Applied, fmt.Sprintf("open files %d", soft))
}

// streams puts the job's three streams and process 1's two on their numbers.
func (c *compiler) streams() {
	for i, k := range []HandleKind{HandleStdin, HandleStdout, HandleStderr} {
		h := c.handle(Handle{Kind: k, Layer: LayerRootfs, Name: string(k)})
		c.call(LayerRootfs, string(k), "dup3", handle(h), num(int64(i)), num(0))
	}
	for i, k := range []HandleKind{HandleControl, HandleStatus} {
		h := c.handle(Handle{Kind: k, Layer: LayerRootfs, Name: string(k)})
		c.call(LayerRootfs, string(k), "dup3", handle(h), num(int64(pid1.ControlFD+i)), num(0))
	}
}

func (c *compiler) noNewPrivs() {
	if !c.offered(LayerNoNewPrivs) {
		return
	}
	c.call(LayerNoNewPrivs, "", "prctl", num(prSetNoNewPrivs), num(1), num(0), num(0), num(0))
	c.applied(LayerNoNewPrivs, Applied, "")
}

// landlock applies the ruleset. It comes after the last mount: under Landlock
// mount(2) and pivot_root(2) always fail.
func (c *compiler) landlock() {
	if !c.offered(LayerLandlock) {
		return
	}
	abi := c.probe.LandlockABI
	if abi < landlock.MinABI {
		c.fail(fmt.Errorf("bug: Landlock offered with ABI %d", abi))
		return
	}
	var rules []Rule
	top := landlock.Read | landlock.Execute
	if c.mounts[0].write { // all that must not be written below is a read-only mount
		top |= landlock.Write | landlock.Make
	}
	rules = append(rules, Rule{Handle: c.mounts[0].handle, Path: ".", Dir: true, Right: top})
	for _, m := range c.mounts[1:] {
		switch {
		case m.target == "/dev/pts":
			rules = append(rules, Rule{m.handle, ".", true, landlock.Read | landlock.Write | landlock.Ioctl})
		case strings.HasPrefix(m.target, "/dev/") && !m.dir:
			rules = append(rules, Rule{m.handle, ".", false, landlock.Read | landlock.Write | landlock.Ioctl})
		case m.write && !m.dir:
			rules = append(rules, Rule{m.handle, ".", false, landlock.Read | landlock.Execute | landlock.Write})
		case m.write && c.spec.Access == nil:
			rules = append(rules, Rule{m.handle, ".", true, landlock.Read | landlock.Execute | landlock.Write | landlock.Make})
		}
	}
	for _, p := range sortedKeys(c.spec.Access) {
		m, rel := c.within(p)
		rules = append(rules, Rule{m.handle, rel, true, c.spec.Access[p]})
	}
	scoped := c.spec.Profile.Name == "hostile" && abi >= landlock.ScopeABI
	c.rules = c.handle(Handle{Kind: HandleRules, Layer: LayerLandlock, Name: "ruleset", Rules: rules, Scoped: scoped})
	if !c.spec.MinimalProc {
		// /proc is mounted by the child, so its rule is added by the child: programs
		// name their threads through /proc/self/task/N/comm (pthread_setname_np(3)).
		spare := c.handle(Handle{Kind: HandleSpare, Name: "spare"})
		f := c.call(LayerLandlock, "/proc", "openat", num(atFDCWD), text("/proc"), num(oPath|oDirectory|oCloexec), num(0))
		c.call(LayerLandlock, "/proc", "dup3", resultOf(f), handle(spare), num(oCloexec))
		c.call(LayerLandlock, "/proc", "landlock_add_rule", handle(c.rules), num(landlockRulePathBeneath), Arg{Kind: ArgRule, Int: uint64(spare)}, num(0))
	}
	c.call(LayerLandlock, "", "landlock_restrict_self", handle(c.rules), num(0))
	detail := fmt.Sprintf("ABI %d, %d rules", abi, len(rules))
	if scoped {
		detail += ", scoped signals and abstract sockets"
	}
	if u := landlock.Ungoverned(abi); len(u) > 0 {
		detail += ", ungoverned: " + strings.Join(u, " ")
	}
	c.applied(LayerLandlock, Applied, detail)
}

// within finds the mount that holds a path inside, and the path below it.
func (c *compiler) within(p string) (placed, string) {
	best := c.mounts[0]
	for _, m := range c.mounts[1:] {
		if (p == m.target || strings.HasPrefix(p, m.target+"/")) && len(m.target) >= len(best.target) {
			best = m
		}
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(p, strings.TrimSuffix(best.target, "/")), "/")
	if rel == "" {
		rel = "."
	}
	return best, rel
}

// capabilities empties all five sets, but for what root inside keeps in the
// permitted and the bounding one; bounding first, since dropping from it needs a
// capability itself (capabilities(7)).
func (c *compiler) capabilities() {
	if !c.offered(LayerCapabilities) {
		return
	}
	bits, kept, detail := int64(securebits), uint64(0), fmt.Sprintf("all %d dropped", c.probe.LastCap+1)
	if c.spec.Profile.Identity {
		var names []string
		for _, k := range rootCapabilities() {
			kept |= 1 << k.number
			names = append(names, k.name)
		}
		bits, detail = rootSecurebits, "root:"+strings.Join(names, ",")
	}
	c.call(LayerCapabilities, "securebits", "prctl", num(prSetSecurebits), num(bits), num(0), num(0), num(0))
	for i := range c.probe.LastCap + 1 {
		if kept&(1<<i) != 0 {
			continue
		}
		c.call(LayerCapabilities, fmt.Sprintf("bounding set, %d", i), "prctl", num(prCapbsetDrop), num(int64(i)), num(0), num(0), num(0))
	}
	c.call(LayerCapabilities, "ambient set", "prctl", num(prCapAmbient), num(prCapAmbientClearAll), num(0), num(0), num(0))
	header := binary.NativeEndian.AppendUint64(nil, 0x20080522) // _LINUX_CAPABILITY_VERSION_3, this process
	c.call(LayerCapabilities, "", "capset", data(header), data(capabilitySets(kept)))
	// Any later change of credentials would clear it again.
	c.call(LayerPID, "death signal", "prctl", num(prSetPdeathsig), num(sigkill), num(0), num(0), num(0))
	c.applied(LayerCapabilities, Applied, detail)
}

// capabilitySets is struct __user_cap_data_struct[2]: effective and permitted are
// the same, nothing is inheritable.
func capabilitySets(kept uint64) []byte {
	var b []byte
	for _, half := range []uint32{uint32(kept), uint32(kept >> 32)} {
		for _, set := range []uint32{half, half, 0} {
			b = binary.NativeEndian.AppendUint32(b, set)
		}
	}
	return b
}

// rootCapabilities are what an installer needs to give files away and to become
// another user, all of them over ids of the job's own user namespace only.
func rootCapabilities() []struct {
	number int
	name   string
} {
	return []struct {
		number int
		name   string
	}{{0, "chown"}, {1, "dac_override"}, {3, "fowner"}, {4, "fsetid"}, {6, "setgid"}, {7, "setuid"}, {31, "setfcap"}}
}

// seccomp is the last layer: the calls above would not pass it.
func (c *compiler) seccomp() {
	// Descriptors 0–4 stay; process 1 closes 3 and 4 to the command. The three of
	// start get the next numbers and close at execve. Everything else is closed now,
	// not then: the child waits for the runner, and while it waited with a copy of
	// the runner's end of this pipe, or of another child's, neither would see the
	// runner die.
	for i, h := range []Handle{{Kind: HandleSync, Name: "sync"}, {Kind: HandleReady, Name: "ready"}, {Kind: HandlePID1, Layer: LayerPID, Name: "process 1", Owner: c.initOwner()}} {
		c.call(LayerRootfs, h.Name, "dup3", handle(c.handle(h)), num(int64(syncFD+i)), num(oCloexec))
	}
	first := int64(initFD + 1)
	if c.waiting {
		c.call(LayerRootfs, "command", "dup3", handle(c.handle(Handle{Kind: HandleCommand, Layer: LayerPID, Name: "command"})), num(pid1.CommandFD), num(0))
		first = pid1.CommandFD + 1
	}
	c.call(LayerRootfs, "descriptors", "close_range", num(first), num(0xffffffff), num(0))
	if !c.offered(LayerSeccomp) {
		return
	}
	prog, err := c.spec.Profile.Compile(seccomp.Arch(c.probe.Arch))
	if err != nil {
		c.fail(&LayerError{Layer: LayerSeccomp, Stage: "compile", Err: err})
		return
	}
	for _, in := range prog {
		c.p.Filter = binary.NativeEndian.AppendUint16(c.p.Filter, in.Code)
		c.p.Filter = append(c.p.Filter, in.JT, in.JF)
		c.p.Filter = binary.NativeEndian.AppendUint32(c.p.Filter, in.K)
	}
	c.call(LayerSeccomp, "", "seccomp", num(seccompSetModeFilter), num(seccompFlagSpecAllow|seccompFlagNewListener|seccompWait), Arg{Kind: ArgFilter})
	c.applied(LayerSeccomp, Applied, fmt.Sprintf("%s, %d instructions", c.spec.Profile.Name, len(prog)))
}

// initOwner owns the file of process 1, if that must not be the runner: root inside
// could read it, and then trace the process.
func (c *compiler) initOwner() *Owner {
	if c.probe.User == nil || !c.spec.Profile.Identity {
		return nil
	}
	o := c.probe.User.nobody()
	return &o
}

// start tells the runner that all layers hold, waits for it and becomes process 1.
func (c *compiler) start() {
	// The death signal above does not come if the runner died before it was set.
	// Then the end of the pipe does.
	c.call(LayerPID, "ready", "write", num(readyFD), data([]byte("r")), num(1))
	c.call(LayerPID, "runner", "read", num(syncFD), data(make([]byte, 8)), num(1))
	c.p.Calls[len(c.p.Calls)-1].ZeroEnds = true
	c.call(LayerPID, "process 1", "execveat", num(initFD), text(""), Arg{Kind: ArgVector, Text: pid1.Name}, data(make([]byte, 8)), num(atEmptyPath))
	tty := -1
	switch {
	case c.cmd.TTY.Stdin:
		tty = 0
	case c.cmd.TTY.Stdout:
		tty = 1
	case c.cmd.TTY.Stderr:
		tty = 2
	}
	c.p.Command = pid1.Command{Args: c.cmd.Args, Env: c.cmd.Env, Tty: tty, Stay: c.cmd.Stay}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
