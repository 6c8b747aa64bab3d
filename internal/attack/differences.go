// SPDX-License-Identifier: Apache-2.0

package attack

// Difference is an outcome that is another one where the runner is an ordinary
// user's, and why that is right. It is never that an attempt succeeds.
type Difference struct {
	ID      string   // of an attempt
	Profile string   // empty: under both
	Got     []string // of which one stops it then
	Why     string
}

// Differences returns all of them, in the order of the table.
func Differences() []Difference {
	return []Difference{
		{
			ID: "cap-07-workspace", Got: []string{"EPERM"},
			Why: "the workspace is mounted as it is, since the job's user is the user: its ids can be said, and giving a file away wants a capability",
		},
	}
}

// ForUser returns the attempt with what must stop it where the runner is an
// ordinary user's.
func (a Attempt) ForUser() Attempt {
	for _, d := range Differences() {
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
