// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"strings"
)

// IDRange maps Count ids of a user namespace, from Inside on, to ids as the
// runner sees them, from Outside on (user_namespaces(7), "uid_map").
type IDRange struct{ Inside, Outside, Count uint32 }

// IDMap says who the job is: the maps of its user namespace and its user.
type IDMap struct {
	UIDs, GIDs []IDRange
	UID, GID   uint32 // the job's ids inside; each lies in a range
	// KeepGroups: the runner may not change supplementary groups, since it is an
	// ordinary user without a range of ids (user_namespaces(7), "setgroups").
	KeepGroups bool
}

// MapRange is the map of a runner with root's rights: ids 0 to count-1 are ids
// of the host that nobody else has.
func MapRange(base, count, uid, gid uint32) IDMap {
	r := []IDRange{{Inside: 0, Outside: base, Count: count}}
	return IDMap{UIDs: r, GIDs: r, UID: uid, GID: gid}
}

// Owner is the job's user as the runner sees it.
func (m IDMap) Owner() Owner {
	uid, _ := outside(m.UIDs, m.UID)
	gid, _ := outside(m.GIDs, m.GID)
	return Owner{UID: uid, GID: gid}
}

// root is the root of the job's user namespace as the runner sees it.
func (m IDMap) root() Owner {
	uid, _ := outside(m.UIDs, 0)
	gid, _ := outside(m.GIDs, 0)
	return Owner{UID: uid, GID: gid}
}

func outside(ranges []IDRange, id uint32) (uint32, bool) {
	for _, r := range ranges {
		if id >= r.Inside && id-r.Inside < r.Count {
			return r.Outside + id - r.Inside, true
		}
	}
	return 0, false
}

// validate refuses a map without the job's own ids, and, of a runner that is the
// machine's root, one that makes anybody inside the machine's root.
func (m IDMap) validate(user bool) error {
	for _, ids := range []struct {
		ranges []IDRange
		own    uint32
	}{{m.UIDs, m.UID}, {m.GIDs, m.GID}} {
		if _, ok := outside(ids.ranges, ids.own); !ok {
			return fmt.Errorf("bug: the job's id %d is not mapped", ids.own)
		}
		for _, r := range ids.ranges {
			if r.Outside == 0 && !user {
				return errors.New("bug: the job's ids must be mapped away from the host's")
			}
		}
	}
	return nil
}

// lines is the content of uid_map or gid_map.
func lines(ranges []IDRange) string {
	var b strings.Builder
	for _, r := range ranges {
		fmt.Fprintf(&b, "%d %d %d\n", r.Inside, r.Outside, r.Count)
	}
	return b.String()
}

// User says who the runner is if it is root of a user namespace only.
type User struct {
	UID        uint32 `json:"uid"` // as the namespace's parent knows it
	GID        uint32 `json:"gid"`
	Range      uint32 `json:"range"`       // further ids from 1 on that it may give away; 0 if it is alone
	KeepGroups bool   `json:"keep_groups"` // setgroups(2) is denied
}

// rangeSize is how many further ids a job gets where the user has them: enough
// for every id of a distribution's root file system.
const rangeSize = 65536

// IDs returns the map of a job of this runner: the job's user is the runner's,
// under the same id if that is an ordinary one.
func (u User) IDs() IDMap {
	m := IDMap{UID: ordinary(u.UID), GID: ordinary(u.GID), KeepGroups: u.KeepGroups}
	m.UIDs, m.GIDs = around(m.UID, u.Range), around(m.GID, u.Range)
	return m
}

// RootIDs returns the map of a job that is root inside: the runner's own id is
// the job's root, and the further ids have the numbers that they have here. The
// last of them stays out of the map: process 1 is its, and so nobody's inside. It
// is false if the user has no further ids.
func (u User) RootIDs() (IDMap, bool) {
	// Two ranges, since the runner's own namespace has two: the kernel wants each
	// in one (user_namespaces(7)).
	r := []IDRange{{0, 0, 1}, {1, 1, rangeSize - 1}}
	return IDMap{UIDs: r, GIDs: r}, u.Range >= rangeSize && !u.KeepGroups
}

// nobody is an id of the runner's that no job has.
func (u User) nobody() Owner { return Owner{UID: rangeSize, GID: rangeSize} }

func ordinary(id uint32) uint32 {
	if id == 0 || id >= 65534 {
		return 1000
	}
	return id
}

// around maps own to the runner's root and what lies beside it to its further ids.
func around(own, more uint32) []IDRange {
	out := []IDRange{{own, 0, 1}}
	switch {
	case more < rangeSize:
		return out
	case own >= more:
		return append(out, IDRange{0, 1, more})
	}
	return append(out, IDRange{0, 1, own}, IDRange{own + 1, own + 1, more - own})
}
