// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/seccomp"
)

// The limits of an attempt that has none of its own.
const (
	attemptPids = 64
	attemptTime = 30 * time.Second
)

// ownProgram is where an attempt finds this program.
const ownProgram = "/opt/zviz/zviz-runner"

// plantedSecret is what attempts look for in the environment.
const plantedSecret = "ATTACK_SECRET=planted"

// systemPath is PATH for the attempts: the system's programs, and no wrapper of a
// tool manager, which would fail for reasons of its own.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// attackReport is what the attempts came to.
type attackReport struct {
	OK       bool            `json:"ok"` // nothing escaped, nothing wrong
	Profiles []profileReport `json:"profiles"`
}

type profileReport struct {
	Profile  string             `json:"profile"`
	Counts   map[attack.End]int `json:"counts"` // every end, also with 0
	Attempts []attemptReport    `json:"attempts"`
}

type attemptReport struct {
	ID     string     `json:"id"`
	Class  string     `json:"class"`
	What   string     `json:"what"`
	Want   []string   `json:"want,omitempty"` // of which one must stop it
	End    attack.End `json:"end"`
	Detail string     `json:"detail"` // what it said, or why it was not made
}

// attackRun makes the attempts.
type attackRun struct {
	x         runner
	ui        *ui.UI
	program   string // this one
	workspace string
	folder    string          // with a root file system that holds next to nothing
	system    []sandbox.Mount // this machine's programs, for there
	signals   <-chan int
	user      *sandbox.User // nil: the machine's root

	tcp, abstract string // services of the machine that must not be reached
	mark          string // name of a file that must not come to be in the machine's /tmp
	closers       []func() error
}

// attack makes every harmless attempt under each profile. user is who runs the
// runner; nil for root.
func (a app) attack(ctx context.Context, u *ui.UI, profiles []string, user *sandbox.User) (_ *attackReport, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := watchSignals(cancel, &terminal{})
	defer watch.stop()

	r := &attackRun{ui: u, signals: watch.forward, user: user}
	defer func() {
		if cerr := r.close(); err == nil {
			err = cerr
		}
	}()
	if err := r.prepare(ctx); err != nil {
		return nil, fmt.Errorf("prepare the attempts: %w", err)
	}
	a.Env = slices.DeleteFunc(slices.Clone(a.Env), func(kv string) bool { return strings.HasPrefix(kv, "PATH=") })
	a.Env = append(a.Env, "PATH="+systemPath, plantedSecret)
	if r.x, err = a.runner(nil); err != nil {
		return nil, err
	}
	rep := &attackReport{OK: true}
	for _, profile := range profiles {
		p, err := r.all(ctx, profile)
		if s, ok := errors.AsType[signalled](context.Cause(ctx)); ok {
			return nil, exitStatus(s.exitCode())
		}
		if err != nil {
			return nil, err
		}
		rep.Profiles = append(rep.Profiles, p)
		rep.OK = rep.OK && p.Counts[attack.Escaped]+p.Counts[attack.Wrong] == 0
	}
	return rep, nil
}

// prepare makes what the attempts need or look for.
func (r *attackRun) prepare(ctx context.Context) (err error) {
	if r.program, err = os.Executable(); err != nil {
		return err
	}
	if r.workspace, err = os.MkdirTemp("", "zviz-attack-"); err != nil {
		return err
	}
	r.closers = append(r.closers, func() error { return os.RemoveAll(r.workspace) })
	if r.workspace, err = filepath.EvalSymlinks(r.workspace); err != nil {
		return err
	}
	if err := r.makeFolder(); err != nil {
		return err
	}
	r.mark = filepath.Base(r.workspace) + "-mark"
	if r.tcp, err = r.listen(ctx, "tcp4", "127.0.0.1:0"); err != nil {
		return err
	}
	if r.abstract, err = r.listen(ctx, "unix", "@"+r.mark); err != nil {
		return err
	}
	name, value, _ := strings.Cut(plantedSecret, "=")
	if err := os.Setenv(name, value); err != nil {
		return err
	}
	r.closers = append(r.closers, func() error { return os.Unsetenv(name) })
	undo, err := leaveDescriptorOpen()
	r.closers = append(r.closers, undo)
	return err
}

// makeFolder makes a root file system for a profile that takes no other: nearly
// empty, with this machine's programs to be mounted there.
func (r *attackRun) makeFolder() (err error) {
	if r.folder, err = os.MkdirTemp("", "zviz-attack-root-"); err != nil {
		return err
	}
	r.closers = append(r.closers, func() error { return os.RemoveAll(r.folder) })
	if r.folder, err = filepath.EvalSymlinks(r.folder); err != nil {
		return err
	}
	if err := os.Chmod(r.folder, 0o755); err != nil { //nolint:gosec // as any root file system
		return err
	}
	for _, dir := range []string{"etc", "opt", "root", "usr", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(r.folder, dir), 0o755); err != nil { //nolint:gosec // the same
			return err
		}
	}
	passwd := []byte("root:x:0:0:root:/root:/bin/sh\n")
	if err := os.WriteFile(filepath.Join(r.folder, "etc", "passwd"), passwd, 0o644); err != nil { //nolint:gosec // the same
		return err
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if target, err := os.Readlink("/" + name); err == nil { // into /usr
			if err := os.Symlink(target, filepath.Join(r.folder, name)); err != nil {
				return err
			}
		} else if st, err := os.Stat("/" + name); err == nil && st.IsDir() {
			r.system = append(r.system, sandbox.Mount{Source: "/" + name, Target: "/" + name})
		}
	}
	r.system = append(r.system, sandbox.Mount{Source: "/usr", Target: "/usr"})
	return nil
}

// needsFolder reports whether a profile works in a folder only.
func needsFolder(profile string) bool {
	p, err := seccomp.ByName(profile)
	return err == nil && p.Identity
}

// judged is the name of a profile for what must stop an attempt under it.
func (r *attackRun) judged(profile string) string {
	if r.user != nil && needsFolder(profile) {
		return attack.RootOfUser
	}
	return profile
}

// policy is what an attempt is made under.
func (r *attackRun) policy(profile string, limits sandbox.Limits) executor.Policy {
	p := executor.Policy{
		NoNetwork: true, Profile: profile, Limits: limits,
		Mounts: []sandbox.Mount{{Source: r.program, Target: ownProgram}},
	}
	if needsFolder(profile) {
		p.Rootfs, p.Mounts = r.folder, append(p.Mounts, r.system...)
	}
	return p
}

// listen opens a service that ends every connection.
func (r *attackRun) listen(ctx context.Context, network, address string) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil {
		return "", err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	r.closers = append(r.closers, func() error { err := l.Close(); <-done; return err })
	return l.Addr().String(), nil
}

func (r *attackRun) close() error {
	var errs []error
	for _, undo := range slices.Backward(r.closers) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

// all makes every attempt under a profile, class by class.
func (r *attackRun) all(ctx context.Context, profile string) (profileReport, error) {
	p := profileReport{Profile: profile, Counts: map[attack.End]int{}}
	for _, end := range attack.Ends() {
		p.Counts[end] = 0
	}
	for _, class := range attack.Classes() {
		r.ui.Phase("attempts to get out: profile " + profile + ", " + class)
		for _, at := range attack.All() { //nolint:contextcheck // nothing is made here
			if attack.Class(at.ID) != class {
				continue
			}
			at = r.expected(at)
			rep, err := r.attempt(ctx, profile, at)
			if err != nil {
				return p, fmt.Errorf("attempt %s, profile %s: %w", at.ID, profile, err)
			}
			p.Counts[rep.End]++
			p.Attempts = append(p.Attempts, rep)
		}
	}
	r.ui.Phase("")
	if len(p.Attempts) == p.Counts[attack.NotRun] {
		return p, errors.New("no attempt could be made under the profile " + profile) // or all would be well
	}
	return p, nil
}

// expected is the attempt with what must stop it for who runs the runner.
func (r *attackRun) expected(at attack.Attempt) attack.Attempt {
	switch {
	case r.user == nil:
		return at
	case r.user.Range == 0:
		return at.ForUser()
	default:
		return at.ForUserWithRange()
	}
}

// attempt makes one attempt. An error is that of the sandbox, which did not
// start: it says nothing about the attempt.
func (r *attackRun) attempt(ctx context.Context, profile string, at attack.Attempt) (attemptReport, error) {
	rep := attemptReport{ID: at.ID, Class: attack.Class(at.ID), What: at.What, Want: at.Wants(r.judged(profile)), End: attack.NotRun}
	limits, simple := attemptLimits(at.Runner)
	if rep.Detail = untried(at, simple); rep.Detail != "" {
		return rep, nil
	}
	args, own := r.args(at)
	if !own {
		rep.Detail = elsewhere
		return rep, nil
	}
	var out, problem head
	res, err := r.x.Exec(ctx, executor.Request{
		Policy: r.policy(profile, limits),
		Args:   append([]string{ownProgram, attemptName, at.ID}, args...), Dir: r.workspace,
		Stdout: &out, Stderr: &problem, Signals: r.signals,
	})
	if err != nil {
		return rep, err
	}
	if res.Cause == sandbox.CauseNotStarted {
		return rep, notMade(res)
	}
	said := lastLine(out.String())
	rep.End, rep.Detail = at.Judge(r.judged(profile), attack.Outcome(said)), said
	if said == "" {
		rep.Detail = fmt.Sprintf("it said nothing: %s, exit code %d %s", res.Cause, res.ExitCode, lastLine(problem.String()))
	}
	if at.ID == "fs-06" {
		rep.End, rep.Detail = r.looksFor(rep.End, rep.Detail)
	}
	return rep, nil
}

// notMade describes a sandbox in which this program does not start.
func notMade(res executor.Report) error {
	why := "exit code " + strconv.Itoa(res.ExitCode)
	if res.Error != nil {
		why = res.Error.What
	}
	return failure{Code: "run.failed", Exit: exitFailed, What: "this program does not start in the sandbox: " + why}
}

// elsewhere is why attempts are not made that need more than a sandbox.
const elsewhere = "needs a network, a file or another job made for it: go test ./internal/attack"

// untried is why an attempt is not made; empty if it is.
func untried(at attack.Attempt, simple bool) string {
	switch harm := at.Harm(); {
	case at.Arch != "" && at.Arch != runtime.GOARCH:
		return "this machine is no " + at.Arch
	case at.Control == attack.ByTest || !simple:
		return elsewhere
	case harm != "":
		return "not made on a machine in use: " + harm
	}
	if at.Needs != "" {
		if _, err := os.Lstat(at.Needs); err != nil {
			return "this machine has no " + at.Needs
		}
	}
	if at.Tool != "" && !installed(at.Tool) {
		return at.Tool + " is not installed"
	}
	return ""
}

// installed reports whether the system has a program.
func installed(tool string) bool {
	return slices.ContainsFunc(filepath.SplitList(systemPath), func(dir string) bool {
		_, err := exec.LookPath(filepath.Join(dir, tool))
		return err == nil
	})
}

// attemptLimits are those of flags of exec, and whether there is nothing but
// limits in the flags.
func attemptLimits(flags []string) (l sandbox.Limits, simple bool) {
	l = sandbox.Limits{Pids: attemptPids, Wall: attemptTime}
	for i := 0; i < len(flags); i++ {
		if flags[i] == "--no-network" {
			continue
		}
		if i+1 == len(flags) {
			return l, false
		}
		flag, value := flags[i], flags[i+1]
		i++
		var err error
		switch flag {
		case "--memory":
			l.MemoryBytes, err = executor.ParseMemory(value)
		case "--pids":
			l.Pids, err = executor.ParsePids(value)
		case "--timeout":
			l.Wall, err = executor.ParseWall(value)
		default:
			return l, false
		}
		if err != nil {
			return l, false
		}
	}
	return l, true
}

// args are the arguments of an attempt, and whether we have what they name.
func (r *attackRun) args(at attack.Attempt) (args []string, ok bool) {
	switch at.ID {
	case "net-12":
		return []string{r.tcp}, true
	case "net-13":
		return []string{r.abstract}, true
	case "res-02":
		return []string{strconv.Itoa(attemptPids + 36)}, true
	case "fs-06":
		return []string{r.mark}, true
	case "cap-04", "cap-05": // copies of the program with privileges
		return nil, false
	default:
		return nil, true
	}
}

// looksFor looks for the file that an attempt left in its /tmp.
func (r *attackRun) looksFor(end attack.End, said string) (attack.End, string) {
	path := filepath.Join("/tmp", r.mark)
	switch err := os.Remove(path); {
	case err == nil:
		return attack.Escaped, "the file is in /tmp of this machine"
	case end == attack.Works:
		return attack.Blocked, "the file is not in /tmp of this machine"
	default:
		return end, said
	}
}

// head keeps the beginning of what is written to it. The buffer is not embedded: its
// ReadFrom, which io.Copy prefers, would keep everything.
type head struct{ text bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	const most = 16 << 10
	if room := most - h.text.Len(); room > 0 {
		_, _ = h.text.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (h *head) String() string { return h.text.String() }

// lastLine is the last line of a text that ends in one.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
