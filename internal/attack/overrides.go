// SPDX-License-Identifier: Apache-2.0

package attack

import "slices"

// Override is an outcome that differs from the published table, and is right.
type Override struct {
	ID      string // of an attempt, or of a row that is Elsewhere
	Profile string // empty: under each; ci: under those that open more as well, if they have no other
	Got     string // what stops the attempt instead, "A or B"; of a row that is Elsewhere: what happens
	Why     string
}

// OverrideOf returns the override of an attempt or row under a profile.
func OverrideOf(id, profile string) (Override, bool) {
	all := Overrides()
	for _, name := range append(widens(profile), "") {
		if i := slices.IndexFunc(all, func(o Override) bool { return o.ID == id && o.Profile == name }); i >= 0 {
			return all[i], true
		}
	}
	return Override{}, false
}

// Overrides returns all that differs from the published table.
func Overrides() []Override {
	return slices.Concat(kernelOverrides(), fileOverrides(), networkOverrides(), resourceOverrides(), openedOverrides())
}

// kernelOverrides are those of the classes namespace, capability and seccomp.
func kernelOverrides() []Override {
	return []Override{
		{
			ID: "ns-09", Profile: "hostile", Got: "EACCES",
			Why: "stopped one step earlier: Landlock lets the job write nothing in /proc, so that open(2) fails; under ci write(2) says EPERM",
		},
		{
			ID: "ns-10", Got: "EACCES",
			Why: "open(2) itself wants CAP_SYS_ADMIN in the user namespace of who writes, and says EACCES; EPERM is for a write of deny that came before",
		},
		{
			ID: "ns-11", Profile: "hostile", Got: "ENOENT",
			Why: "stronger: the job's /proc is mounted with subset=pid and has no sys",
		},
		{
			ID: "cap-06", Got: "nothing granted",
			Why: "the job's own sudo runs the command as it is, so that scripts go on that call it for nothing; the real one fails for no_new_privs",
		},
		{
			ID: "cap-07-workspace", Got: "EOVERFLOW",
			Why: "the workspace is an idmapped mount that maps the job's id to its owner's and no other, so that a foreign id cannot be said there at all",
		},
		{
			ID: "cap-10", Got: "WORKS",
			Why: "the table allows it to a profile that lowers ip_unprivileged_port_start: both do, in the job's own network namespace",
		},
	}
}

// fileOverrides are those of the classes filesystem, workspace and process.
func fileOverrides() []Override {
	return slices.Concat(
		alike("hostile", "ENOENT", "stronger: the job's /proc is mounted with subset=pid and has no sys", "fs-09", "fs-10-sysctl"),
		alike("", "ENOENT or empty", "under ci covered, not absent: what opens it goes on", "fs-13-interrupts"),
		alike("", "/dev is ours", "/dev of an image is never used, so that no error is needed", "fs-19", "fs-20"),
		alike("", "/proc is ours", "/proc and /sys of an image are never used, so that no error is needed", "fs-21"),
		alike("", "EINVAL", "beyond the row: the name of the caller's output leads to the job's own pipe, which cannot be truncated", "fs-16-output"),
		alike("", "ENOENT or EROFS", "beyond the row: there is no control group inside that could be written to", "proc-04-cgroup"),
		alike("", "ENOTTY", "beyond the row: the filter knows no such ioctl, so that no file is made immutable", "ws-08-immutable"),
		alike("", "EROFS", "stronger: .git of the workspace is read-only, so that nothing can be planted", "ws-01", "ws-02"),
		alike("", "the owner is the caller", "files of a workspace belong to the caller, not to a sub-id; the bits are taken off", "ws-10"),
		alike("hostile", "ENOSYS", "stronger: hostile has no System V shared memory, so that none can be left or found", "proc-07-sysv", "proc-07-ipc", "proc-07-segment"),
		alike("ci", allowed, "databases need shared memory: the segments are those of the job's own IPC namespace, which proc-07-segment looks at", "proc-07-sysv"),
	)
}

// networkOverrides are those of the class network.
func networkOverrides() []Override {
	const atOnce = "refused at once instead of dropped, so that a client does not wait; nothing goes out"
	return slices.Concat(
		alike("ci", allowed, "builds list interfaces through NETLINK_ROUTE: those of the job's own network", "net-02"),
		alike("", "ENETUNREACH", "made without a network: there is no route that a policy could refuse", "net-04"),
		alike("", "ECONNREFUSED", atOnce, "net-08-udp", "net-08-tcp", "net-08-dot", "net-11", "net-15-port", "net-18"),
		alike("hostile", "EINVAL", "hostile has no netlink to look a device up with, and a link-local address without one is EINVAL", "net-14-link"),
		alike("", "403", atOnce+": HTTP has its own word for it", "net-15-http"),
		alike("", "ENETUNREACH or EADDRNOTAVAIL", "there is no IPv6 in the job's network that could drop it", "net-15-ipv6"),
		alike("", "NXDOMAIN", atOnce+": DNS has its own word for it", "net-15-name"),
		alike("ci", "EPROTONOSUPPORT", "ci has netlink for routes only: what it lacks is the protocol, not the family", "net-16-nft"),
		alike("", "ENOTTY", "the filter knows no such ioctl, before the kernel would say EPERM", "net-16-ioctl"),
		alike("", "ECONNREFUSED", "stronger: no datagram of the flood leaves, so that there is nothing to bound", "net-17"),
	)
}

// resourceOverrides are those of the class resource.
func resourceOverrides() []Override {
	return slices.Concat(
		alike("", "EROFS", "stronger: /run is not the job's to write to, so that it has no size limit to meet", "res-04-run"),
		alike("", "EPERM", "beyond the row: the limit itself cannot be raised", "res-07-raise"),
		alike("", "EMFILE", "what a namespace bounds first are instances, whose errno is EMFILE; ENOSPC is that of watches", "res-09"),
		alike("", "ENOSYS", "no profile has the call", "res-15"),
	)
}

// alike are overrides of several for one reason.
func alike(profile, got, why string, ids ...string) []Override {
	var all []Override
	for _, id := range ids {
		all = append(all, Override{ID: id, Profile: profile, Got: got, Why: why})
	}
	return all
}
