// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"slices"
	"strings"
)

// moreThanCI reports whether a profile is ci with more.
func moreThanCI(profile string) bool { return profile == "debug" || profile == "root" }

// openedWants returns what stops an attempt under a profile that opens more than ci,
// if that is something else than under ci.
func openedWants(id, profile string) ([]string, bool) {
	if id == "cap-01" && profile == "root" {
		return []string{"EPERM"}, true // the call is there, and grants nothing beyond the seven
	}
	all := openedOverrides()
	i := slices.IndexFunc(all, func(o Override) bool { return o.ID == id && o.Profile == profile })
	if i < 0 {
		return nil, false
	}
	return strings.Split(all[i].Got, " or "), true
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
	return slices.Concat(
		alike("debug", allowed, traces, "sc-04", "sc-04-seize", "sc-08", "sc-09", "sc-19"),
		alike("debug", allowed, layout, "sc-17", "sc-17-setarch"),
		alike("root", allowed, self, "cap-06", "cap-07", "cap-08", "cap-08-res", "cap-08-gid", "cap-08-resgid", "cap-08-groups"),
		alike("root", "CapEff 800000db", "the seven that the profile is for, and not the one of the file", "cap-04"),
		alike("root", allowed, copied, "fs-03"),
		alike("root", allowed, copied+"; it lies on disk, which a watch keeps from being filled", "res-04-run"),
	)
}
