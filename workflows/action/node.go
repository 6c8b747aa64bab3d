// SPDX-License-Identifier: Apache-2.0

package action

import (
	"strings"
)

// The variables that decide between the two versions of Node.js, and what they say:
// "true", without regard to case.
const (
	ForceNode24 = "FORCE_JAVASCRIPT_ACTIONS_TO_NODE24"
	AllowNode20 = "ACTIONS_ALLOW_USE_UNSECURE_NODE_VERSION"
)

// nodeVersion is the major version that a using asks for, 0 if it asks for none.
func nodeVersion(using string) int {
	return map[string]int{"node12": 12, "node16": 16, "node20": 20, "node24": 24}[strings.ToLower(using)]
}

// NodeVersion is the major version of Node.js that a Node action runs with, 0 for other
// kinds. GitHub runs node12 and node16 as node20 (their ends were in 2022 and 2023), and
// node20 as node24 since June 16th, 2026, unless AllowNode20 is set in env. Is ForceNode24
// set too, they contradict each other: that is the warning, and the version the default.
func (r Runs) NodeVersion(env func(name string) string) (version int, warning string) {
	asked := nodeVersion(r.Using)
	if r.Kind != Node || asked == 0 || asked > 20 {
		return asked, ""
	}
	force, allow := strings.EqualFold(env(ForceNode24), "true"), strings.EqualFold(env(AllowNode20), "true")
	switch {
	case force && allow:
		return 24, "Both " + ForceNode24 + " and " + AllowNode20 + " environment variables are set to true in the workflow environment. " +
			"This is likely a configuration error. Using the default Node version: node24."
	case allow:
		return 20, ""
	default:
		return 24, ""
	}
}
