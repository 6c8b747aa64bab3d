// SPDX-License-Identifier: Apache-2.0

package attack

// Override is an outcome that differs from the published table, and is right.
type Override struct {
	ID      string
	Profile string // empty: under both
	Got     string // what stops the attempt instead
	Why     string
}

// Overrides returns what differs from the published table.
func Overrides() []Override {
	var all []Override
	for _, part := range [][]Override{kernelOverrides(), processOverrides()} {
		all = append(all, part...)
	}
	return all
}
