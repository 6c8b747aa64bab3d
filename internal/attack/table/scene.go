// SPDX-License-Identifier: Apache-2.0

package main

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
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testuser"
)

// limit is the time that one attempt may take, with the start of its sandbox.
const limit = 30 * time.Second

// box is one sandbox.
type box struct {
	name    string
	ours    bool
	user    bool   // ours, of an ordinary user's
	profile string // of ours
	missing string // why it cannot be attacked

	args  func(n int, command []string) []string // starts a command in it, for the n-th time
	clean func(n int) []string                   // after a start that failed; may be nil
}

// runnerBox is the runner.
func runnerBox(runner, profile string) box {
	return box{
		name: "zviz-runner exec --profile " + profile, ours: true, profile: profile,
		args: func(_ int, command []string) []string {
			return append([]string{runner, "exec", "--quiet", "--profile", profile, "--no-network", "--pids", "64", "--"}, command...)
		},
	}
}

// profiles are those of the runner.
func profiles() []string { return []string{"ci", "hostile"} }

// row is one attempt and its end.
type row struct {
	ID   string     `json:"attempt"`
	What string     `json:"what"`
	End  attack.End `json:"outcome"`
	Why  string     `json:"why"` // what the attempt said, or why it was not made
}

// scene is what the attempts need: a workspace with the program that makes them,
// and services of the host that must not be reached.
type scene struct {
	dir       string // removed at the end
	workspace string
	state     string         // of ours
	user      *testuser.User // who starts the runner; nil: root
	listeners []net.Listener
	tcp       string
	abstract  string
	starts    int
}

func newScene(program string) (_ *scene, err error) {
	dir, err := os.MkdirTemp("/var/tmp", "zviz-attack-")
	if err != nil {
		return nil, err
	}
	s := &scene{dir: dir, workspace: filepath.Join(dir, "ws"), state: filepath.Join(dir, "state")}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := os.Mkdir(s.workspace, 0o755); err != nil {
		return nil, err
	}
	if err := os.Rename(program, filepath.Join(s.workspace, "attack")); err != nil {
		return nil, err
	}
	if s.tcp, err = s.listen("tcp4", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.abstract, err = s.listen("unix", fmt.Sprintf("@zviz-attack-%d", os.Getpid()))
	return s, err
}

// asUser makes an ordinary user, who starts the runner, and gives him the workspace.
func (s *scene) asUser(become, runner string) (err error) {
	if s.user, err = testuser.New(become, runner); err != nil {
		return err
	}
	// The program is everybody's to run, and its folder is his.
	if s.state, err = s.user.Folder(); err != nil {
		return err
	}
	return errors.Join(os.Chmod(s.dir, 0o755), s.user.Own(s.workspace))
}

func (s *scene) listen(network, address string) (string, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return "", err
	}
	s.listeners = append(s.listeners, l)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String(), nil
}

func (s *scene) close() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	// runsc leaves a network namespace mounted in its state folder.
	if err := unix.Unmount(filepath.Join(s.dir, "runsc", "null-netns"), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		errs = append(errs, fmt.Errorf("unmount null-netns: %w", err))
	}
	if s.user != nil {
		errs = append(errs, s.user.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// args are the arguments that an attempt is made with.
func (s *scene) args(a attack.Attempt) []string {
	switch a.ID {
	case "net-12":
		return []string{s.tcp}
	case "net-13":
		return []string{s.abstract}
	case "res-02":
		return []string{"100"}
	case "fs-06":
		return []string{filepath.Base(s.dir)}
	default:
		return nil
	}
}

// all makes every attempt in a sandbox.
func (s *scene) all(ctx context.Context, b box) []row {
	var rows []row
	for _, a := range attempts(b.user) {
		rows = append(rows, s.make(ctx, b, a))
	}
	return rows
}

// inPlace is why an attempt is not made here: the tests make it.
const inPlace = "needs a place of its own, as the tests make"

// make makes one attempt in a sandbox.
func (s *scene) make(ctx context.Context, b box, a attack.Attempt) row {
	r := row{ID: a.ID, What: a.What, End: attack.NotRun}
	switch {
	case a.Arch != "" && a.Arch != runtime.GOARCH:
		r.Why = a.Arch + " only"
		return r
	case a.Runner != nil || a.Control == attack.ByTest || a.ID == "cap-04" || a.ID == "cap-05":
		// A network with a policy, limits, a file or another job of its own.
		r.Why = inPlace
		return r
	case !b.ours && (a.Control == attack.AsUser || a.Control == attack.Reading):
		r.Why = "made as a user of the machine: peers run as root here"
		return r
	case !b.ours && a.Control == attack.Nowhere:
		r.Why = "its success could do harm: " + a.NoControl
		return r
	case !b.ours && attack.Class(a.ID) == "resource":
		r.Why = "its limits are the caller's to set"
		return r
	}
	said, err := s.start(ctx, b, append([]string{"./attack", a.ID}, s.args(a)...))
	if err != nil {
		r.Why = err.Error()
		return r
	}
	r.End, r.Why = judge(b, a, said), said
	if a.ID == "fs-06" && r.End == attack.Works {
		// It may write there; what counts is whether it is the host's.
		if os.Remove(filepath.Join("/tmp", s.args(a)[0])) == nil {
			r.End, r.Why = attack.Escaped, "the file is in /tmp of the host"
		}
	}
	return r
}

// judge says what the line that an attempt printed means. The errno of another
// sandbox is its own choice.
func judge(b box, a attack.Attempt, said string) attack.End {
	if b.ours {
		return a.Judge(b.profile, attack.Outcome(said))
	}
	end := a.Judge("", attack.Outcome(said))
	if end == attack.Wrong && !a.Allowed {
		if !strings.HasPrefix(said, "BLOCKED ") {
			return attack.NotRun // no word of an attempt
		}
		end = attack.Blocked
	}
	return end
}

// start runs a command in a sandbox and returns the last line that it printed.
func (s *scene) start(ctx context.Context, b box, command []string) (string, error) {
	s.starts++
	within, cancel := context.WithTimeoutCause(ctx, limit, errors.New("timed out after "+limit.String()))
	defer cancel()
	args := b.args(s.starts, command)
	cmd := exec.CommandContext(within, args[0], args[1:]...)
	cmd.Dir = s.workspace
	cmd.WaitDelay = time.Second
	// What must not come in: a variable and a descriptor.
	cmd.Env = append(os.Environ(), "ZVIZ_STATE_DIR="+s.state, "ATTACK_SECRET=planted")
	null, err := os.Open(os.DevNull)
	if err != nil {
		return "", err
	}
	defer null.Close() //nolint:errcheck // only read
	cmd.ExtraFiles = []*os.File{null}
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	err = cmd.Run()
	if err != nil {
		if b.clean != nil {
			args := b.clean(s.starts)
			_ = exec.CommandContext(ctx, args[0], args[1:]...).Run()
		}
		first, _, _ := strings.Cut(strings.TrimSpace(problem.String()), "\n")
		return "", fmt.Errorf("%w: %s", errors.Join(err, context.Cause(within)), first)
	}
	text := strings.TrimSpace(out.String())
	if text == "" {
		return "", errors.New("it said nothing")
	}
	return text[strings.LastIndexByte(text, '\n')+1:], nil
}

// id names a container.
func id(name string, n int) string {
	return "attack-" + name + "-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(n)
}
