// SPDX-License-Identifier: Apache-2.0

package executor

import "github.com/zviz/run/egress"

// CellRequest says what one job has for itself.
type CellRequest struct {
	Policy  Policy
	Presets []string
	// Secrets are masked in egress events; what steps print is the caller's to mask.
	Secrets []string
	Observe func(egress.Event) // may be nil, must not block
	Phase   func(string)       // may be nil
	// Credentials are what rules name as value_from: job:NAME. The gateway puts them
	// into requests; the job does not get them.
	Credentials map[string]string
	// Narrowed is the repository's policy; nil if it has none.
	Narrowed *PolicyFile

	// ToolCache is a folder of the operator's, absolute, that the job finds at the path of
	// that name and cannot change: what it writes there goes with it. Empty: the job's is
	// empty.
	ToolCache string

	// Services are what the caller serves to the job in its network; see ServiceURL.
	Services []egress.Service
}
