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
	// AsUser: as an ordinary user of the machine, where set-user-ID programs work, in
	// fresh pid, mount, net, ipc and uts namespaces.
	AsUser Control = "user"
	// Reading: on the machine as it is, since the attempt only looks.
	Reading Control = "reading"
	// ByTest: in a place that a test of its own makes, with what the attempt needs.
	ByTest Control = "a test of its own"
	// Nowhere: success would do harm, or needs hardware; NoControl says which.
	Nowhere Control = "nowhere"
)

// Attempt is one thing that a hostile command may try, or, if Allowed, one that
// every build needs.
type Attempt struct {
	ID   string
	Name string // in ZViz's suite, if it has the test
	What string

	// Want holds the errno names (or the signal, or what is found instead) of which
	// one must stop it; empty if Allowed. WantCI is that of the profile ci where it
	// has another; the word "allowed" alone: nothing does. The profiles debug and
	// root are ci with more: openedWants says what differs there.
	Want    []string
	WantCI  []string
	Allowed bool

	Control   Control
	NoControl string // why it is Nowhere
	Needs     string // a path of the host without which it cannot succeed: not every kernel has it
	Absent    string // the errno with which a kernel without the feature answers the control
	Tool      string // a program of the root file system that it runs
	Arch      string // GOARCH, if it exists on one only

	// Runner holds flags of exec with which the attempt is made; nil if it needs
	// none, and then it gets no network.
	Runner []string
	// Logged is the event that must be in the report when it was stopped; nil if
	// it is no matter of the network's policy.
	Logged *Logged

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
	for _, part := range [][]Attempt{
		namespaces(), kernel(), files(), network(), processes(), needed(),
		namespaceRows(), capabilityRows(), seccompRows(), fileRows(), workspaceRows(), processRows(), rootRows(),
		policed(), resources(), protocol(),
	} {
		all = append(all, part...)
	}
	return all
}

// Wants returns what must stop the attempt under a profile.
func (a Attempt) Wants(profile string) []string {
	if want, ok := openedWants(a.ID, profile); ok {
		return want
	}
	if (profile == "ci" || moreThanCI(profile)) && a.WantCI != nil {
		return a.WantCI
	}
	return a.Want
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
