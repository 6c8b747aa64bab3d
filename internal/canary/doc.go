// SPDX-License-Identifier: Apache-2.0

// Package canary makes credentials that are good for nothing and look real, and finds
// them again, in every encoding that package mask knows. Whoever prints one or sends
// one has gone through files that no build reads.
//
//	set := canary.New()
//	for name, data := range set.Files { … } // into the job's home
//	f := canary.NewFinder(set.Credentials)
//	if name := f.Find(text); name != "" { … }
//
// They are different for each job, so that one that turns up later names its run. A
// credential that is encrypted, compressed, or sent in pieces is not found.
package canary
