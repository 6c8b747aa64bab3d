// SPDX-License-Identifier: Apache-2.0

package attack

// processOverrides are those of the class process.
func processOverrides() []Override {
	return []Override{
		{
			ID: "proc-07-sysv", Profile: "ci", Got: "allowed",
			Why: "databases under test need shared memory: a job may make segments, in an IPC namespace of its own that ends with it, which proc-07-segment looks at",
		},
	}
}
