// SPDX-License-Identifier: Apache-2.0

package sandbox

// LayerSpec says what a Layered is. It is plain data.
type LayerSpec struct {
	// Lower is a folder of the runner's, absolute. Inside its files are the job's own to
	// look at; a job that changes one changes a copy (overlayfs). Nobody may change it
	// as long as a Layered has it.
	Lower string
	// Home is a directory of the job's on the host, absolute, and Dir one below it, in
	// which the copies and everything new are. It is made if it is not there. No link is
	// followed to it.
	Home, Dir string
	// Work is an empty directory of the runner's on the disk that Home is on.
	Work string
	IDs  IDMap
	User bool // the runner is an ordinary user: Probe.User is not nil
}
