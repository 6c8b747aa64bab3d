// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"syscall"
)

// Layer names one isolation layer. The names are the ones that --allow-missing,
// doctor and the report use.
type Layer string

// The layers, in the order in which a start applies them.
const (
	LayerPids         Layer = "pids"   // cgroup: limit on the number of processes
	LayerMemory       Layer = "memory" // cgroup: limit on memory
	LayerCPU          Layer = "cpu"    // cgroup: limit on CPU time
	LayerKill         Layer = "kill"   // cgroup: one write ends every process
	LayerPID          Layer = "pid"    // namespace
	LayerMount        Layer = "mount"  // namespace
	LayerIPC          Layer = "ipc"    // namespace
	LayerUTS          Layer = "uts"    // namespace
	LayerNet          Layer = "net"    // namespace
	LayerCgroup       Layer = "cgroup" // namespace; as a value of --allow-missing it also stands for pids, memory, cpu and kill
	LayerRootfs       Layer = "rootfs"
	LayerUser         Layer = "user" // namespace, entered last
	LayerRlimits      Layer = "rlimits"
	LayerNoNewPrivs   Layer = "no_new_privs"
	LayerLandlock     Layer = "landlock"
	LayerCapabilities Layer = "capabilities"
	LayerSeccomp      Layer = "seccomp"
)

// Layers returns every layer in the order in which a start applies them.
func Layers() []Layer {
	return []Layer{
		LayerPids, LayerMemory, LayerCPU, LayerKill,
		LayerPID, LayerMount, LayerIPC, LayerUTS, LayerNet, LayerCgroup,
		LayerRootfs, LayerUser, LayerRlimits, LayerNoNewPrivs, LayerLandlock, LayerCapabilities, LayerSeccomp,
	}
}

// Required reports whether a job can never run without the layer, whatever the
// user allows: without it the others protect nothing.
func (l Layer) Required() bool {
	switch l {
	case LayerUser, LayerPID, LayerMount, LayerRootfs, LayerRlimits, LayerCapabilities, LayerNoNewPrivs:
		return true
	default:
		return false
	}
}

// ParseLayer returns the layers that name stands for: itself, or, for
// "cgroup", the namespace and the cgroup's four uses.
func ParseLayer(name string) ([]Layer, error) {
	if name == string(LayerCgroup) {
		return []Layer{LayerCgroup, LayerPids, LayerMemory, LayerCPU, LayerKill}, nil
	}
	for _, l := range Layers() {
		if string(l) == name {
			if l.Required() {
				return nil, fmt.Errorf("layer %q is always required", name)
			}
			return []Layer{l}, nil
		}
	}
	return nil, fmt.Errorf("unknown layer %q", name)
}

// LayerState says what became of a layer.
type LayerState string

// The states of a layer in a report.
const (
	Applied        LayerState = "applied"
	MissingAllowed LayerState = "missing_allowed" // the user named it in AllowMissing
	OffByProfile   LayerState = "off_by_profile"
)

// LayerReport is one line of what was really applied.
type LayerReport struct {
	Name   Layer      `json:"name"`
	State  LayerState `json:"state"`
	Detail string     `json:"detail,omitempty"`
}

// LayerError reports an isolation layer that could not be applied. The command
// was not started. A caller may go on without the layer only if the user named
// it in Spec.AllowMissing.
type LayerError struct {
	Layer Layer
	Stage string // the kernel step: "landlock_restrict_self", "mount"
	Path  string // the object, empty if the step has none
	Err   error  // usually a syscall.Errno
	Fix   string // what the user can do, empty if nothing is known
}

func (e *LayerError) Error() string {
	s := "cannot apply " + string(e.Layer) + ": "
	if e.Stage != "" {
		s += e.Stage
		if e.Path != "" {
			s += " " + e.Path
		}
		s += ": "
	}
	return s + e.Err.Error()
}

func (e *LayerError) Unwrap() error { return e.Err }

// Hint says what the user can do; empty if we know nothing better than Error.
func (e *LayerError) Hint() string {
	if e.Fix != "" {
		return e.Fix
	}
	// landlock_restrict_self(2): E2BIG when rulesets are stacked too deep; here it
	// means that we already run inside a sandbox, not that a rule is wrong.
	if e.Layer == LayerLandlock && errors.Is(e.Err, syscall.E2BIG) {
		return "too many nested sandboxes: run zviz-runner outside of the other sandbox"
	}
	// mount_too_revealing() in fs/namespace.c: a user namespace gets a /proc only
	// where the one around it is whole.
	if e.Layer == LayerRootfs && e.Path == "/proc" && errors.Is(e.Err, syscall.EPERM) {
		return "parts of /proc are covered here, as in a container: start the container with --security-opt systempaths=unconfined (Kubernetes: procMount: Unmasked), or run as root"
	}
	if hint := ShortageHint(e.Err); hint != "" {
		return hint
	}
	if !e.Layer.Required() {
		return "accept the gap: --allow-missing " + string(e.Layer)
	}
	return ""
}
