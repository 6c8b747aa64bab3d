// SPDX-License-Identifier: Apache-2.0

package attack

// Harm says what the attempt could do to a machine on which it succeeds; empty
// if nothing lasts. Unlike the suite, which runs on a machine of its own, whoever
// looks whether a machine in use holds must not make one that does harm.
func (a Attempt) Harm() string {
	switch a.ID {
	case "sc-01-off", "sc-02", "sc-16", "net-04", "net-21", "net-22", "res-07-raise":
		return "" // nowhere to succeed, or with nothing but a socket or a SYN to nobody's address
	case "res-03", "res-04", "res-05", "res-07":
		return "without the limit it would take what others on this machine need"
	}
	if a.Control == Nowhere {
		return a.NoControl // also of a row that nobody has thought about here
	}
	return ""
}
