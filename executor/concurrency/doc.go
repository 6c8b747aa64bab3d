// SPDX-License-Identifier: Apache-2.0

// Package concurrency keeps the concurrency groups of workflows among all processes of a
// user on one machine: of those that name a group one runs, one waits, and a newcomer
// takes the place of the one that waits.
//
//	groups, err := concurrency.Open(filepath.Join(state, "concurrency"))
//	place, err := groups.Enter(ctx, concurrency.Want{Repository: "https://github.com/o/r", Group: "deploy"}, nil)
//	// *ReplacedError: a newcomer took our place
//	select { case <-place.Asked(): … } // one that cancels what is in progress came
//	place.Leave()
//
// Who wants a group has a numbered file in the group's folder and holds it by flock(2) as
// long as it lives. The one with the lowest number of those that live has the group. So
// a process that was killed has left it, whatever it could not do any more. An ask to end
// is a file beside, which whoever is asked looks for five times a second.
//
// It needs flock(2). What it cannot do: groups across machines, and a way out when two
// runs hold what the other one waits for; the end of the context of one of them is one.
package concurrency
