// SPDX-License-Identifier: Apache-2.0

// Package cgroup makes the control groups of a job: one directory of the v2
// hierarchy, and one of each v1 hierarchy whose controller is only there (hybrid
// systems). Limits that no hierarchy can hold are reported, never skipped.
//
// Needs Linux 5.14 for cgroup.kill. Sources: cgroups(7),
// Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, pids.rst.
package cgroup
