// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/zviz/run/internal/attack"
)

// attempts are all, with what must stop them where the runner is an ordinary user's
// or root's.
func attempts(user bool) []attack.Attempt {
	all := attack.All()
	for i, a := range all {
		if user {
			all[i] = a.ForUser()
		}
	}
	return all
}

// elsewheres are the rows that are no attempts, with the tests that make them.
func elsewheres(user bool) []attack.Elsewhere {
	all := attack.Elsewheres()
	for i, e := range all {
		if user {
			all[i] = e.ForUser()
		}
	}
	return all
}

// differ notes of an attempt what stops it for an ordinary user only.
func (r *tableRow) differ(id, profile string) bool {
	d, ok := attack.DifferenceOf(id, profile)
	if ok {
		r.Differences = append(r.Differences, override{id, d.Words(), d.Why})
	}
	return ok
}
