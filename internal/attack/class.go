// SPDX-License-Identifier: Apache-2.0

package attack

import "strings"

// Classes returns the classes of attempts in the order of the table.
func Classes() []string {
	return []string{"namespace", "capability", "seccomp", "filesystem", "network", "process", "resource", "workspace", "protocol", "needed by builds"}
}

// Class is the class that the attempt belongs to, by its identifier.
func (a Attempt) Class() string {
	prefix, _, _ := strings.Cut(a.ID, "-")
	switch prefix {
	case "ns":
		return "namespace"
	case "cap":
		return "capability"
	case "sc":
		return "seccomp"
	case "fs":
		return "filesystem"
	case "net":
		return "network"
	case "proc":
		return "process"
	case "res":
		return "resource"
	case "ws":
		return "workspace"
	case "pr":
		return "protocol"
	default:
		return "needed by builds"
	}
}
