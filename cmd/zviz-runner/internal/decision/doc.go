// SPDX-License-Identifier: Apache-2.0

// Package decision puts the gateway's decisions into words, the same ones in every
// command:
//
//	decision.Row(row)  // tracker.example.com:443 (node, pid 41) ×2
//
// A job chooses the names in them: what is returned is clean but where a comment says
// that it is not.
package decision
