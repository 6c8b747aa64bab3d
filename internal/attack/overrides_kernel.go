// SPDX-License-Identifier: Apache-2.0

package attack

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
			ID: "cap-07-workspace", Got: "EOVERFLOW",
			Why: "the workspace is an idmapped mount that maps the job's id to its owner's and no other, so that a foreign id cannot be said there at all",
		},
		{
			ID: "cap-10", Got: "WORKS",
			Why: "the table allows it to a profile that lowers ip_unprivileged_port_start: both do, in the job's own network namespace",
		},
	}
}
