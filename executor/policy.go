// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// Policy is what the operator grants to a job: the policy file, the flags and
// the built-in defaults, merged. The zero Policy grants nothing but the host's
// tools and the workspace.
type Policy struct {
	Egress       egress.Policy
	NoNetwork    bool // nothing at all, not even names
	Offline      bool // registries are answered for by the package store alone, and nothing else
	Limits       sandbox.Limits
	Profile      string          // "ci" (default) or "hostile"
	Rootfs       string          // a folder with a root file system; empty means the host's tools
	Mounts       []sandbox.Mount // on top of the workspace
	Write        []string        // paths below the workspace that stay writable although protected: ".git"
	Ephemeral    bool            // writes to the workspace are thrown away
	Diff         bool            // list them; implies Ephemeral
	AllowMissing []sandbox.Layer
	// NoCanaries plants no fake credentials in the job's home.
	NoCanaries bool
}
