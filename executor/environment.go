// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zviz/run/sandbox"
)

// The job's user. If the runner is root it has no name on the host: its ids are
// mapped away.
const (
	jobUser = "job"
	jobUID  = 1000
	jobHome = "/home/" + jobUser
)

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

// environ returns a variable of the operator's environment.
func (x *Executor) environ(name string) string {
	for _, kv := range x.cfg.Environ { // the first one counts, as for getenv(3)
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// environment is everything that a command gets: nothing of the operator's is
// inherited but what stands here.
func (x *Executor) environment(t tools, network map[string]string, tty bool, own []string) []string {
	env := map[string]string{
		"PATH": strings.Join(t.path, ":"), "HOME": jobHome, "LANG": "C.UTF-8", "TMPDIR": "/tmp",
		// LeakSanitizer traces the process that it checks, which no job may.
		"ASAN_OPTIONS": "detect_leaks=0",
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
