// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"fmt"
	"strings"
	"syscall"
)

// Profile is a system-call policy as data: which groups of calls are on beside
// the core and the argument-checked ones, which always are. The zero Profile is
// the strictest. Profiles compare with == and encode as JSON.
type Profile struct {
	Name         string `json:"name"`
	Compat       bool   `json:"compat,omitempty"`        // older twins of core calls (fork, pipe, epoll_wait) and a few others
	SysVIPC      bool   `json:"sysv_ipc,omitempty"`      // shm*, sem*, msg*: the ipc namespace is the sandbox's own
	NetlinkRoute bool   `json:"netlink_route,omitempty"` // socket(AF_NETLINK, _, NETLINK_ROUTE): listing interfaces
	Trace        bool   `json:"trace,omitempty"`         // debuggers: ptrace and the memory of other processes of the job
	Identity     bool   `json:"identity,omitempty"`      // root inside: other ids, extended attributes
}

// CI returns the default profile: what builds and tests of real projects need.
func CI() Profile {
	return Profile{Name: "ci", Compat: true, SysVIPC: true, NetlinkRoute: true}
}

// Hostile returns the narrow profile: core and argument-checked calls only.
func Hostile() Profile { return Profile{Name: "hostile"} }

// Debug returns the profile for debuggers: ci, and one process of the job may trace
// another.
func Debug() Profile {
	p := CI()
	p.Name, p.Trace = "debug", true
	return p
}

// Root returns the profile of a job that is root inside: ci, and the calls with
// which an installer becomes somebody else and gives files away.
func Root() Profile {
	p := CI()
	p.Name, p.Identity = "root", true
	return p
}

// Profiles returns the built-in profiles, the default first.
func Profiles() []Profile { return []Profile{CI(), Hostile(), Debug(), Root()} }

// ProfileNames are the names of the built-in profiles, the default first.
func ProfileNames() []string {
	var names []string
	for _, p := range Profiles() {
		names = append(names, p.Name)
	}
	return names
}

// ByName returns the built-in profile of that name.
func ByName(name string) (Profile, error) {
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("unknown profile %q: known are %s", name, strings.Join(ProfileNames(), ", "))
}

// same reports whether two profiles compile to the same program.
func (p Profile) same(q Profile) bool {
	p.Name = q.Name
	return p == q
}

// Verdict says what happens to a call, straight from the tables: nr of the ABI
// auditArch (AUDIT_ARCH_*), in a job whose filter was compiled for a.
func (p Profile) Verdict(a Arch, auditArch, nr uint32, args [6]uint64) Verdict {
	if auditArch != a.audit() || auditArch == 0 {
		return Verdict{Action: Kill}
	}
	if nr >= x32Bit {
		return Verdict{Action: Errno, Errno: enosys}
	}
	name, ok := lookupName(a, nr)
	if !ok {
		return Verdict{Action: Errno, Errno: enosys}
	}
	return p.rule(name).verdict(args)
}

// Answer says what the supervisor of user notifications does with a call of
// the native ABI: report it under name, and answer with errno. It is never 0.
func (p Profile) Answer(a Arch, nr uint32, args [6]uint64) (name string, errno syscall.Errno) {
	v := p.Verdict(a, a.audit(), nr, args)
	if v.Errno == 0 {
		// The program sent a call to the supervisor that the tables would not send:
		// they disagree, or the notification is forged. Refuse.
		v.Errno = eperm
	}
	return Name(a, nr), v.Errno
}
