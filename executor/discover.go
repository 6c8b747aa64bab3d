// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/seccomp"
)

// discovered is discovery.json: what the operator's toolchain answered, by
// preset, and what the answer depends on.
type discovered map[string]struct {
	Key    string        `json:"key"`
	Preset egress.Preset `json:"preset"`
}

// discoveryTimeout bounds one question to a tool. npm takes 150 ms.
const discoveryTimeout = 30 * time.Second

// Presets asks the operator's toolchain for the named presets; nothing else is run.
func (x *Executor) Presets(ctx context.Context, names []string, allowMissing []sandbox.Layer) ([]egress.Preset, error) {
	if len(names) == 0 {
		return nil, nil
	}
	probe, err := x.probe()
	if err != nil {
		return nil, err
	}
	if _, err := x.open(ctx, probe, Request{Policy: Policy{AllowMissing: allowMissing}}); err != nil {
		return nil, err
	}
	return x.presets(ctx, names, allowMissing)
}

// presets asks the operator's toolchain for the named presets, or the cache of
// its answers if neither a tool nor its configuration changed.
func (x *Executor) presets(ctx context.Context, names []string, allowed []sandbox.Layer) ([]egress.Preset, error) {
	if len(names) == 0 {
		return nil, nil
	}
	file := filepath.Join(x.folder(), "discovery.json")
	cache := discovered{}
	if b, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(b, &cache) // a broken cache is an empty one
	}
	var out []egress.Preset
	changed := false
	for _, name := range names {
		key := x.discoveryKey(name)
		if c, ok := cache[name]; ok && c.Key == key {
			out = append(out, c.Preset)
			continue
		}
		p, err := egress.Discover(ctx, name, func(ctx context.Context, argv []string) ([]byte, error) { return x.askTool(ctx, name, argv, allowed) })
		if err != nil {
			return nil, err
		}
		c := cache[name]
		c.Key, c.Preset = key, p
		cache[name] = c
		changed = true
		out = append(out, p)
	}
	if changed {
		if err := writeFileAtomic(file, cache); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func writeFileAtomic(file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".tmp-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), file)
}

// discoveryKey changes when a tool, its configuration or the environment does.
func (x *Executor) discoveryKey(preset string) string {
	h := sha256.New()
	fmt.Fprintln(h, "v5", preset, x.cfg.Home)
	for _, kv := range x.toolEnv() {
		fmt.Fprintln(h, kv)
	}
	stamp := func(name string) {
		if st, err := os.Stat(name); err == nil {
			fmt.Fprintln(h, name, st.ModTime().UnixNano(), st.Size())
		}
	}
	for _, dir := range findTools(x.environ("PATH"), x.cfg.Home, "").path {
		for _, tool := range askedTools(preset) {
			stamp(filepath.Join(dir, tool))
		}
	}
	for _, f := range x.toolConfig(preset) {
		stamp(f)
		if list, err := os.ReadDir(f); err == nil {
			for _, d := range list {
				stamp(filepath.Join(f, d.Name()))
				sub, _ := os.ReadDir(filepath.Join(f, d.Name()))
				for _, s := range sub {
					stamp(filepath.Join(f, d.Name(), s.Name()))
				}
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// askTool runs a command of the operator's toolchain in a sandbox: no network,
// the configuration that the preset is about read-only, nothing of the workspace. It lacks no
// layer that the job itself may not lack.
func (x *Executor) askTool(ctx context.Context, preset string, argv []string, allowed []sandbox.Layer) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, discoveryTimeout, fmt.Errorf("%s did not answer within %v: %w", argv[0], discoveryTimeout, context.DeadlineExceeded))
	defer cancel()
	probe, err := x.probe()
	if err != nil {
		return nil, err
	}
	job, err := newJob(x.folder(), jobFile{Groups: probe.Cgroups})
	if err != nil {
		return nil, &StateError{Dir: x.folder(), Err: err}
	}
	defer func() { _ = job.end(probe.Cgroups) }()
	tools := findTools(x.environ("PATH"), x.cfg.Home, "")
	root, err := sandbox.HostRoot(slices.Concat(systemPaths(), tools.bind, []string{"/var/lib/apt", "/var/lib/dpkg"}))
	if err != nil {
		return nil, err
	}
	ids := jobIDs(probe, job.Slot)
	spec := sandbox.Spec{
		ID: job.ID, StateDir: job.Dir, Hostname: "zviz", Root: root, Profile: seccomp.CI(),
		Files:        accountFiles(jobUser, "/", ids),
		IDs:          ids,
		Limits:       sandbox.Limits{MemoryBytes: 1 << 30, Pids: 256},
		AllowMissing: allowed,
	}
	for _, f := range x.toolConfig(preset) {
		st, err := os.Stat(f)
		if err != nil || below("/usr", f) {
			continue
		}
		resolved, err := filepath.EvalSymlinks(f)
		if err != nil {
			continue
		}
		spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: resolved, Target: f, File: st.Mode().IsRegular(), Owner: &sandbox.Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}})
	}
	sb, err := sandbox.New(spec, probe)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sb.Close() }()
	var out, errOut bytes.Buffer
	env := append([]string{"PATH=" + strings.Join(tools.path, ":"), "HOME=" + x.cfg.Home, "LANG=C.UTF-8", "npm_config_cache=/tmp/npm", "npm_config_update_notifier=false", "GOCACHE=/tmp/go"}, x.toolEnv()...)
	for k, v := range tools.env {
		env = append(env, k+"="+v)
	}
	p, err := sb.Start(ctx, &sandbox.Cmd{Args: argv, Env: env, Dir: "/", Stdout: &out, Stderr: &errOut})
	if err != nil {
		return nil, err
	}
	res, err := p.Wait()
	switch {
	case err != nil:
		return nil, err
	case res.Cause == sandbox.CauseTimeout:
		return nil, context.Cause(ctx)
	case res.Cause == sandbox.CauseNotStarted:
		return nil, &fs.PathError{Op: "run", Path: argv[0], Err: res.StartErr}
	case res.ExitCode != 0:
		line, _, _ := strings.Cut(strings.TrimSpace(errOut.String()), "\n")
		return nil, fmt.Errorf("%s ended with %d: %.200q", strings.Join(argv, " "), res.ExitCode, line)
	}
	return out.Bytes(), nil
}
