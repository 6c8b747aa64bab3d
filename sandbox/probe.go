// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"slices"

	"github.com/zviz/run/sandbox/cgroup"
)

// Probe is what this machine offers to a sandbox. It is plain data: Compile is
// a pure function of it.
type Probe struct {
	Kernel string `json:"kernel"` // release, uname(2)
	Arch   string `json:"arch"`   // GOARCH

	// User is set if the runner is an ordinary user of the machine, root of a user
	// namespace only. Then the job's user is the runner's, and no mount is id-mapped.
	User *User `json:"user,omitempty"`

	Layers []LayerOffer `json:"layers"` // every layer, in the order of Layers

	// PidsByRlimit: no control group bounds processes, but RLIMIT_NPROC does, which
	// counts by user namespace (Linux 5.14).
	PidsByRlimit bool `json:"pids_by_rlimit,omitempty"`

	Cgroups      cgroup.Hierarchies `json:"cgroups"`
	LandlockABI  int                `json:"landlock_abi"`
	LastCap      int                `json:"last_cap"`       // /proc/sys/kernel/cap_last_cap
	OpenFilesMax uint64             `json:"open_files_max"` // hard RLIMIT_NOFILE of the runner
	ProcMasks    []ProcMask         `json:"proc_masks"`     // entries of /proc to hide, those that are there
	MemoryBytes  int64              `json:"memory_bytes"`   // of the machine
}

// ProcMask is an entry of /proc that is covered.
type ProcMask struct {
	Path string `json:"path"` // relative to /proc
	Dir  bool   `json:"dir"`
}

// LayerOffer says whether this machine offers a layer.
type LayerOffer struct {
	Name     Layer  `json:"name"`
	OK       bool   `json:"ok"`
	Evidence string `json:"evidence"` // "ABI 7", "cgroup v1 at /sys/fs/cgroup/memory"
	Fix      string `json:"fix,omitempty"`
}

// Offer returns what the machine offers for a layer.
func (p Probe) Offer(l Layer) LayerOffer {
	for _, o := range p.Layers {
		if o.Name == l {
			return o
		}
	}
	return LayerOffer{Name: l, Evidence: "not probed"}
}

// Refuse marks the layer of an error as one that this machine lacks.
func (p *Probe) Refuse(e *LayerError) {
	for i := range p.Layers {
		if l := &p.Layers[i]; l.Name == e.Layer {
			l.OK, l.Evidence, l.Fix = false, e.Error(), e.Fix
		}
	}
}

// Missing returns a *LayerError for a layer that this machine lacks and that
// allowed does not name, required layers first; nil if there is none.
func (p Probe) Missing(allowed []Layer) error {
	for _, required := range []bool{true, false} {
		for _, o := range p.Layers {
			if !o.OK && o.Name.Required() == required && (required || !slices.Contains(allowed, o.Name)) {
				return &LayerError{Layer: o.Name, Err: errors.New(o.Evidence), Fix: o.Fix}
			}
		}
	}
	return nil
}
