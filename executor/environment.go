// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/seccomp"
)

// The job's user. If the runner is root it has no name on the host: its ids are
// mapped away.
const (
	jobUser = "job"
	jobUID  = 1000
	jobHome = "/home/" + jobUser
)

// homeOf is the job's home directory.
func homeOf(profile seccomp.Profile) string {
	if profile.Identity {
		return "/root"
	}
	return jobHome
}

// rootIDs are the ids of a job that is root inside.
func rootIDs(probe sandbox.Probe, slot int) (sandbox.IDMap, error) {
	if probe.User == nil {
		return sandbox.MapRange(firstHostID+uint32(slot)*idsPerSlot, idsPerSlot, 0, 0), nil
	}
	ids, ok := probe.User.RootIDs()
	if !ok {
		return ids, hinted{"profile root needs ids for the users of the root file system, and you have one", "give yours 65536 ids in /etc/subuid and /etc/subgid and install newuidmap (package uidmap), or run as root"}
	}
	return ids, nil
}

// jobIDs are the job's ids: a range of the host's that nobody else has, or what the
// user has who runs us.
func jobIDs(probe sandbox.Probe, slot int) sandbox.IDMap {
	if probe.User != nil {
		return probe.User.IDs()
	}
	return sandbox.MapRange(firstHostID+uint32(slot)*idsPerSlot, idsPerSlot, jobUID, jobUID)
}

// accountFiles are the synthesized files of /etc that name users and hosts.
func accountFiles(user, home string, ids sandbox.IDMap) map[string]sandbox.File {
	text := func(format string, args ...any) sandbox.File {
		return sandbox.File{Data: fmt.Appendf(nil, format, args...)}
	}
	return map[string]sandbox.File{
		"/etc/passwd":        text("root:x:0:0:root:/root:/usr/sbin/nologin\n%s:x:%d:%d::%s:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", user, ids.UID, ids.GID, home),
		"/etc/group":         text("root:x:0:\ntty:x:5:\n%s:x:%d:\nnogroup:x:65534:\n", user, ids.GID),
		"/etc/hosts":         text("127.0.0.1 localhost\n::1 localhost\n"),
		"/etc/nsswitch.conf": text("passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"),
		"/etc/hostname":      text("zviz\n"),
		"/etc/resolv.conf":   text(""),
		"/etc/mtab":          text(""),
	}
}

// keepAccounts takes out of the synthesized files those that installers add users to: the
// root file system has its own.
func keepAccounts(files map[string]sandbox.File) {
	for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/mtab"} {
		delete(files, name)
	}
}

// environ returns a variable of the operator's environment.
func (x *Executor) environ(name string) string {
	for _, kv := range x.cfg.Environ { // the first one counts, as for getenv(3)
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// proxyVariable returns a variable that names a proxy. Both spellings are in use;
// the one in lower case counts first, as for curl.
func (x *Executor) proxyVariable(name string) string {
	return cmp.Or(x.environ(strings.ToLower(name)), x.environ(name))
}

// environment is everything that a command gets: nothing of the operator's is
// inherited but what stands here.
func (x *Executor) environment(t tools, profile seccomp.Profile, network map[string]string, tty bool, own []string) []string {
	env := map[string]string{
		"PATH": strings.Join(t.path, ":"), "HOME": homeOf(profile), "LANG": "C.UTF-8", "TMPDIR": "/tmp",
	}
	if !profile.Trace {
		env["ASAN_OPTIONS"] = "detect_leaks=0" // LeakSanitizer traces the process that it checks
	}
	for _, name := range []string{"LANG", "CI"} {
		if v := x.environ(name); v != "" {
			env[name] = v
		}
	}
	if v := x.environ("TERM"); v != "" && tty {
		env["TERM"] = v
	}
	maps.Copy(env, t.env)
	maps.Copy(env, network)
	for _, kv := range own {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	out := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out
}
