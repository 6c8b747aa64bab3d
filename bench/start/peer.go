// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bwrapName is the peer that budgets are measured by.
const bwrapName = "bwrap --unshare-all"

// budget is the most that the ratio to a peer may be.
type budget struct {
	peer string
	most float64
}

// sample is one start.
type sample struct{ wall, cpu time.Duration }

// peer is one way to run /bin/true.
type peer struct {
	name    string
	ours    bool
	missing string               // why it cannot be measured
	args    func(n int) []string // of the n-th start
	clean   func(n int) []string // after a start that hung or failed; may be nil

	budgets []budget // of ours

	in func(func()) // where it is started from; nil for here

	starts  int
	samples []sample
}

// start runs it once and waits.
func (p *peer) start(ctx context.Context, dir string, limit time.Duration) (sample, error) {
	p.starts++
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("timed out"))
	defer cancel()
	args := p.args(p.starts)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	var err error
	var wall time.Duration
	start := func() {
		begin := time.Now()
		err = cmd.Run()
		wall = time.Since(begin)
	}
	if p.in != nil {
		p.in(start)
	} else {
		start()
	}
	if err != nil {
		if p.clean != nil {
			args := p.clean(p.starts)
			// With a context of its own: the start's may be over.
			_ = exec.CommandContext(context.WithoutCancel(ctx), args[0], args[1:]...).Run()
		}
		first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return sample{}, fmt.Errorf("%w: %s", errors.Join(err, context.Cause(ctx)), first)
	}
	return sample{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// peers returns the runner first, then what it is compared with.
func peers(runner, scratch string) ([]*peer, error) {
	runner, err := filepath.Abs(runner)
	if err != nil {
		return nil, err
	}
	bundle, err := writeBundle(scratch, "/bin/true")
	if err != nil {
		return nil, err
	}
	state := filepath.Join(scratch, "state")
	id := func(name string, n int) string {
		return "bench-" + name + "-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(n)
	}
	oci := func(tool string, flags ...string) *peer {
		base := append([]string{tool, "--root", filepath.Join(state, tool)}, flags...)
		return &peer{
			name:  tool + " run",
			args:  func(n int) []string { return append(slices.Clip(base), "run", "--bundle", bundle, id(tool, n)) },
			clean: func(n int) []string { return append(slices.Clip(base), "delete", "--force", id(tool, n)) },
		}
	}
	fixed := func(name string, args ...string) *peer {
		return &peer{name: name, args: func(int) []string { return args }}
	}

	all := []*peer{
		fixed("zviz-runner exec --no-network", runner, "exec", "--no-network", "--", "/bin/true"),
		fixed("zviz-runner exec, with its network", runner, "exec", "--", "/bin/true"),
		fixed("no sandbox", "/bin/true"),
		fixed("unshare, 7 namespaces", "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc",
			"--ipc", "--uts", "--net", "--cgroup", "/bin/true"),
		fixed(bwrapName, append(bwrap(), "/bin/true")...),
		fixed("nsjail -Mo --chroot /", "nsjail", "-q", "-Mo", "--chroot", "/", "--user", "99999", "--group", "99999", "--tmpfsmount", "/tmp", "--", "/bin/true"),
		oci("crun"),
		oci("runc"),
		oci("runsc", "--network=none", "--ignore-cgroups"),
	}
	all[0].ours, all[1].ours = true, true
	all[0].budgets = []budget{{bwrapName, 0.9}, {"runc run", 0.2}}
	all[1].budgets = []budget{{bwrapName, 1.3}}
	for _, p := range all {
		if p.name == "crun run" && hybrid() {
			p.name = "crun run, with cgroup v2 hidden"
			if p.in, err = withoutUnified(); err != nil {
				p.missing = err.Error()
			}
		}
		if _, err := exec.LookPath(p.args(0)[0]); err != nil {
			p.missing = "not installed"
		}
	}
	return all, nil
}

// bwrap is one that shows the system's folders, read-only, as they are laid out here.
func bwrap() []string {
	args := []string{"bwrap", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", "/usr", "/usr"}
	for _, dir := range []string{"/bin", "/lib", "/lib64"} {
		if to, err := os.Readlink(dir); err == nil {
			args = append(args, "--symlink", to, dir)
		} else {
			args = append(args, "--ro-bind-try", dir, dir)
		}
	}
	return args
}

// writeBundle makes an OCI bundle of the system's folders, read-only: what
// `runc spec` writes, with another command than a shell.
func writeBundle(scratch, command string) (string, error) {
	bundle := filepath.Join(scratch, "bundle")
	root := filepath.Join(bundle, "rootfs")
	type mount struct {
		Destination string   `json:"destination"`
		Type        string   `json:"type"`
		Source      string   `json:"source"`
		Options     []string `json:"options,omitempty"`
	}
	mounts := []mount{
		{"/proc", "proc", "proc", nil},
		{"/dev", "tmpfs", "tmpfs", []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{"/dev/pts", "devpts", "devpts", []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{"/dev/shm", "tmpfs", "shm", []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{"/dev/mqueue", "mqueue", "mqueue", []string{"nosuid", "noexec", "nodev"}},
		{"/sys", "sysfs", "sysfs", []string{"nosuid", "noexec", "nodev", "ro"}},
		{"/usr", "bind", "/usr", []string{"bind", "ro"}},
	}
	for _, dir := range []string{"proc", "dev", "sys", "usr", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil { // a root file system
			return "", err
		}
	}
	for _, dir := range []string{"bin", "lib", "lib64"} {
		if to, err := os.Readlink("/" + dir); err == nil {
			if err := os.Symlink(to, filepath.Join(root, dir)); err != nil {
				return "", err
			}
		} else {
			mounts = append(mounts, mount{"/" + dir, "bind", "/" + dir, []string{"bind", "ro"}})
		}
	}
	caps := []string{"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"}
	config := map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"user": map[string]int{"uid": 0, "gid": 0}, "args": []string{command}, "cwd": "/",
			"env":             []string{"PATH=/usr/bin:/bin"},
			"capabilities":    map[string]any{"bounding": caps, "effective": caps, "permitted": caps},
			"noNewPrivileges": true,
		},
		"root":     map[string]any{"path": "rootfs", "readonly": true},
		"hostname": "bench",
		"mounts":   mounts,
		"linux": map[string]any{
			"namespaces": []map[string]string{{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}},
			"maskedPaths": []string{
				"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/sys/firmware",
			},
			"readonlyPaths": []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	text, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	return bundle, os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600)
}
