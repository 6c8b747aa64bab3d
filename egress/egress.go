// SPDX-License-Identifier: Apache-2.0

// Package egress is being written.
package egress

// Policy says which hosts a job may reach. The zero Policy denies all.
type Policy struct{}

// Event is one decision.
type Event struct{}

// Summary is one row of the table of hosts.
type Summary struct{}
