// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"slices"
	"strings"
)

// RootOfUser stands for the profile root of a runner that is an ordinary user's: the
// job's root then has that user's id.
const RootOfUser = "root of a user"

// moreThanCI reports whether a profile is ci with more.
func moreThanCI(profile string) bool { return len(widens(profile)) > 1 }

// widens are the profiles of which one is made by opening more, itself first.
func widens(profile string) []string {
	switch profile {
	case RootOfUser:
		return []string{profile, "root", "ci"}
	case "debug", "root":
		return []string{profile, "ci"}
	default:
		return []string{profile}
	}
}

// openedWants returns what stops an attempt under a profile that opens more than ci,
// if that is something else than under ci.
func openedWants(id, profile string) ([]string, bool) {
	if id == "cap-01" && slices.Contains(widens(profile), "root") {
		return []string{"EPERM"}, true // the call is there, and grants nothing beyond the seven
	}
	for _, name := range widens(profile) {
		for _, o := range openedOverrides() {
			if o.ID == id && o.Profile == name {
				return strings.Split(o.Got, " or "), true
			}
		}
	}
	return nil, false
}

// openedOverrides are those of the profiles that open more than ci: what they are
// for.
func openedOverrides() []Override {
	const (
		traces = "what the profile is for: a process of the job's own pid namespace is traced; process 1 is not"
		layout = "debuggers start programs with it, so that addresses are the same again; the process itself is weaker, the sandbox is not"
		self   = "what the profile is for: all 65536 ids are the job's own, and none of them is anybody on the machine"
		copied = "the root file system is below an overlay that is thrown away: what is written is the job's own copy"
	)
	const (
		further = "the user's files are not id-mapped, and the ids are further ones of the same user (/etc/subuid)"
		numbers = "the numbers only: what /proc says of process 1 belongs to the root of the runner's namespace, who is the job's root; where a descriptor leads is refused, as to everybody who must not trace it"
	)
	return slices.Concat(
		alike(RootOfUser, allowed, further, "cap-07-workspace"),
		alike(RootOfUser, allowed, numbers, "fs-07-fd"),
		alike("debug", allowed, traces, "sc-04", "sc-04-seize", "sc-08", "sc-09", "sc-19"),
		alike("debug", allowed, layout, "sc-17", "sc-17-setarch"),
		alike("root", allowed, self, "cap-06", "cap-07", "cap-08", "cap-08-res", "cap-08-gid", "cap-08-resgid", "cap-08-groups"),
		alike("root", "CapEff 800000db", "the seven that the profile is for, and not the one of the file", "cap-04"),
		alike("root", allowed, copied, "fs-03"),
		alike("root", allowed, copied+"; it lies on disk, which a watch keeps from being filled", "res-04-run"),
	)
}
