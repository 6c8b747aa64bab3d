// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"slices"
	"strings"
)

// Difference is an outcome that is another one where the runner is an ordinary
// user's, and why that is right. It is never that an attempt succeeds.
type Difference struct {
	ID      string   // of an attempt
	Profile string   // empty: under both
	Got     []string // of which one stops it then
	Why     string
}

// Words are the outcomes as a table shows them.
func (d Difference) Words() string { return strings.Join(d.Got, " or ") }

// DifferenceOf returns the difference of an attempt under a profile.
func DifferenceOf(id, profile string) (Difference, bool) {
	all := Differences()
	i := slices.IndexFunc(all, func(d Difference) bool { return d.ID == id && (d.Profile == "" || d.Profile == profile) })
	if i < 0 {
		return Difference{}, false
	}
	return all[i], true
}

// Differences returns all of them, in the order of the table. They are those of a
// user without further ids of /etc/subuid.
func Differences() []Difference {
	const one = "the job has one id, the user's own: another one is unknown before it could be refused"
	var all []Difference
	for _, id := range []string{"cap-07", "cap-07-workspace", "cap-08-res", "cap-08-resgid"} {
		all = append(all, Difference{ID: id, Got: []string{"EINVAL"}, Why: one})
	}
	return all
}

// rangeDifferences are those of a user with further ids of /etc/subuid, whose job
// has every id of a distribution.
func rangeDifferences() []Difference {
	return []Difference{{
		ID: "cap-07-workspace", Got: []string{"EPERM"},
		Why: "the workspace is mounted as it is, since the job's user is the user: every id can be said, and giving a file away wants a capability",
	}}
}

// ForUser returns the attempt with what must stop it where the runner is an ordinary
// user's who has no further ids.
func (a Attempt) ForUser() Attempt { return a.differing(Differences()) }

// ForUserWithRange is ForUser for one who has further ids of /etc/subuid.
func (a Attempt) ForUserWithRange() Attempt { return a.differing(rangeDifferences()) }

func (a Attempt) differing(all []Difference) Attempt {
	for _, d := range all {
		if d.ID != a.ID {
			continue
		}
		ci, other := a.Wants("ci"), a.Want
		if d.Profile != "hostile" {
			ci = d.Got
		}
		if d.Profile != "ci" {
			other = d.Got
		}
		a.Want, a.WantCI = other, ci
	}
	return a
}
