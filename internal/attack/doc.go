// SPDX-License-Identifier: Apache-2.0

// Package attack holds attempts to get out of a sandbox, each one with what must
// stop it.
//
//	for _, a := range attack.All() {
//		fmt.Println(a.ID, a.What, attack.Run(a, nil))
//	}
//
// An attempt is a function that runs inside and ends in BLOCKED with the name of
// an errno, or in ESCAPED. It uses arguments with which the call succeeds where
// it is allowed: the tests run each attempt outside of the sandbox first, in
// namespaces made for it, and want ESCAPED there. An attempt that cannot succeed
// anywhere proves nothing. Where success cannot be shown without harm (loading a
// module), NoControl says why.
//
// The identifiers are those of the published table of attempts (ns-01, sc-04);
// Name is the name of the same test in ZViz's suite of 19 escapes, 8 attacks and
// 55 checks, of which this is the form that can fail.
//
// Where the runner is an ordinary user's, other errors stop some: Differences lists
// them, and ForUser is an attempt that wants those.
//
// The program in internal/attack/program runs one attempt by its identifier.
// zviz-runner does the same for its doctor, on a machine in use: there, what Harm
// names is never made.
package attack
