// SPDX-License-Identifier: Apache-2.0

package attack

import "strings"

// Classes returns the classes of attempts in the order of the table.
func Classes() []string {
	return []string{"namespace", "capability", "seccomp", "filesystem", "network", "process", "resource", "workspace", "protocol", "needed by builds"}
}

// Class is the class that the identifier of an attempt or a row belongs to, empty
// if it is none of ours.
func Class(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	return map[string]string{
		"ns": "namespace", "cap": "capability", "sc": "seccomp", "fs": "filesystem", "net": "network",
		"proc": "process", "res": "resource", "ws": "workspace", "pr": "protocol", "ok": "needed by builds",
	}[prefix]
}
