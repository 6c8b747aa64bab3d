// SPDX-License-Identifier: Apache-2.0

package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// git is the machine's own, as we call it.
type git struct {
	program string // empty if there is none
	env     []string
	dir     string // where it runs: no repository
}

// gitError is what git said.
type gitError struct {
	reason Reason
	text   string
}

func (e *gitError) Error() string { return e.text }

// kept are the variables of the user that git gets: where it finds its configuration,
// credentials, proxies and certificates. What names a repository or a hook is not among
// them.
func kept(name string) bool {
	if strings.HasPrefix(name, "GIT_CONFIG_KEY_") || strings.HasPrefix(name, "GIT_CONFIG_VALUE_") || strings.HasPrefix(name, "GIT_SSL_") || strings.HasPrefix(name, "GIT_PROXY_SSL_") {
		return true
	}
	return slices.Contains(strings.Fields(`PATH HOME USER LOGNAME TMPDIR XDG_CONFIG_HOME XDG_RUNTIME_DIR XDG_CACHE_HOME
		http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY SSL_CERT_FILE SSL_CERT_DIR
		GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM GIT_CONFIG_COUNT GIT_EXEC_PATH GIT_HTTP_PROXY_AUTHMETHOD
		GIT_SSH GIT_SSH_COMMAND GIT_SSH_VARIANT GIT_ASKPASS SSH_AUTH_SOCK DBUS_SESSION_BUS_ADDRESS GNUPGHOME
		GH_TOKEN GITHUB_TOKEN GH_HOST GH_CONFIG_DIR`), name)
}

func newGit(cfg Config, base *url.URL) git {
	g := git{dir: filepath.Join(cfg.Dir, "tmp")}
	path := ""
	for _, kv := range cfg.Environ {
		name, value, _ := strings.Cut(kv, "=")
		if name == "PATH" {
			path = value
		}
		if kept(name) {
			g.env = append(g.env, kv)
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, "git")
		if st, err := os.Stat(file); filepath.IsAbs(dir) && err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			g.program = file
			break
		}
	}
	// ssh is what an insteadOf of the user's may lead to; file only where the user said so.
	protocols := "https:ssh"
	if base.Scheme == "file" || base.Scheme == "http" {
		protocols += ":" + base.Scheme
	}
	g.env = append(g.env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL="+protocols, "GIT_CEILING_DIRECTORIES="+cfg.Dir,
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_LFS_SKIP_SMUDGE=1", "GCM_INTERACTIVE=never")
	return g
}

// settings are ours over those of the user. Nothing of a repository that git fetches from
// over file:// or of what it fetched may start a program.
func settings() []string {
	var args []string
	for _, s := range []string{
		"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.alternateRefsCommand=", "core.attributesFile=/dev/null",
		"submodule.recurse=false", "fetch.recurseSubmodules=false", "fetch.writeCommitGraph=false", "fetch.unpackLimit=1", "fetch.prune=false",
		"transfer.bundleURI=false", "gc.auto=0", "maintenance.auto=false", "core.fsync=none", "protocol.version=2",
		"http.lowSpeedLimit=1000", "http.lowSpeedTime=30", "credential.interactive=false", "advice.detachedHead=false",
	} {
		args = append(args, "-c", s)
	}
	return args
}

// command is a call of git that ends with the context, with all that it started.
func (g git) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	if g.program == "" {
		return nil, &gitError{NoGit, "there is no git in PATH, which fetches it"}
	}
	cmd := exec.CommandContext(ctx, g.program, slices.Concat(settings(), args)...)
	cmd.Dir, cmd.Env = g.dir, g.env
	// A session of its own: neither git nor ssh finds a terminal to ask at.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd, nil
}

// mostSaid bounds what is read of what git prints, in bytes.
const mostSaid = 1 << 20

// run calls git and returns what it printed.
func (g git) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd, err := g.command(ctx, args...)
	if err != nil {
		return nil, err
	}
	stdout, stderr := &limited{}, &limited{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("git: %w", err)
	}
	boundMemory(cmd.Process.Pid)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, said(stderr.text.Bytes(), err)
	}
	if stdout.full {
		return nil, &gitError{Failed, "git printed more than 1 MiB"}
	}
	return stdout.text.Bytes(), nil
}

// said makes an error of what git printed.
func said(stderr []byte, err error) error {
	var last string
	for line := range strings.Lines(string(stderr)) {
		line = strings.TrimSpace(line)
		text, told := strings.CutPrefix(line, "fatal: ")
		if !told {
			text, told = strings.CutPrefix(line, "ERROR: ") // a server's word over ssh
		}
		if !told && last != "" || line == "" {
			continue
		}
		last = text
		if strings.HasPrefix(line, "fatal: ") {
			break // what follows is a consequence
		}
	}
	if last == "" {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			return fmt.Errorf("git: %w", err)
		}
		last = err.Error()
	}
	return &gitError{gitReason(string(stderr)), "git says: " + clip(last)}
}

// clip makes the text of somebody else fit for a line of ours: short, without control
// characters and without passwords in addresses.
func clip(s string) string {
	for i, word := range strings.Fields(s) {
		bare := strings.Trim(word, `'":,()`)
		if u, err := url.Parse(bare); err == nil && u.User != nil {
			s = strings.ReplaceAll(s, bare, u.Redacted())
		}
		if i > 200 {
			break
		}
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

// limited keeps the first bytes of what is written to it. The buffer is not embedded:
// io.Copy, and so os/exec, would call its ReadFrom, which keeps everything.
type limited struct {
	text bytes.Buffer
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	if left := mostSaid - l.text.Len(); len(p) > left {
		l.full = true
		l.text.Write(p[:left])
		return len(p), nil
	}
	return l.text.Write(p)
}
