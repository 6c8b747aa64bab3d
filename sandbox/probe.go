// SPDX-License-Identifier: Apache-2.0

package sandbox

// Probe is what this machine offers to a sandbox. It is plain data: Compile is
// a pure function of it.
type Probe struct {
	Kernel string `json:"kernel"` // release, uname(2)
	Arch   string `json:"arch"`   // GOARCH

	Layers []LayerOffer `json:"layers"` // every layer, in the order of Layers
}

// LayerOffer says whether this machine offers a layer.
type LayerOffer struct {
	Name     Layer  `json:"name"`
	OK       bool   `json:"ok"`
	Evidence string `json:"evidence"` // "ABI 7", "cgroup v1 at /sys/fs/cgroup/memory"
	Fix      string `json:"fix,omitempty"`
}
