// SPDX-License-Identifier: Apache-2.0

package attack

// Control says where it can be shown that an attempt succeeds.
type Control string

// The controls.
const (
	// InUserNamespace: as root of fresh user, pid, mount, net, ipc and uts namespaces.
	InUserNamespace Control = "user namespace"
	// AsRoot: as root of the machine, in fresh pid, mount, net, ipc and uts namespaces.
	AsRoot Control = "root"
	// InHostNetwork: as InUserNamespace, but in the host's network.
	InHostNetwork Control = "host network"
	// Nowhere: success would do harm, or needs hardware; NoControl says which.
	Nowhere Control = "nowhere"
)

// Attempt is one thing that a hostile command may try, or, if Allowed, one that
// every build needs.
type Attempt struct {
	ID   string
	Name string // in ZViz's suite, if it has the test
	What string

	// Want holds the errno names (or the signal) of which one must stop it under
	// the profile hostile; empty if Allowed.
	Want    []string
	Allowed bool

	Control   Control
	NoControl string // why it is Nowhere
	Needs     string // a path of the host without which it cannot succeed: not every kernel has it
	Arch      string // GOARCH, if it exists on one only

	// Runner holds flags of exec with which the attempt is made; nil if it needs
	// none, and then it gets no network.
	Runner []string
	// Logged is the event that must be in the report when it was stopped; nil if
	// it is no matter of the network's policy.
	Logged *Logged
	// InCI holds what stops it under the profile ci, if that is not Want; the word
	// "allowed" alone: nothing does.
	InCI []string
	// Override says why it may end otherwise than the published table says.
	Override string

	run func(args []string) (string, error)
}

// Logged is what an event of a refusal must say, next to the process. An empty
// field says nothing.
type Logged struct {
	Door, Host, Dst, Reason string

	// ProcessMayBeGone: the kernel ends the connection itself, so that the look for
	// its process can come too late.
	ProcessMayBeGone bool
}

// All returns every attempt in the order of the table.
func All() []Attempt {
	var all []Attempt
	for _, part := range [][]Attempt{namespaces(), kernel(), files(), network(), processes(), needed(), policed(), resources(), protocol()} {
		all = append(all, part...)
	}
	return all
}

// ByID returns the attempt of that identifier.
func ByID(id string) (Attempt, bool) {
	for _, a := range All() {
		if a.ID == id {
			return a, true
		}
	}
	return Attempt{}, false
}
