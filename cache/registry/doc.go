// SPDX-License-Identifier: Apache-2.0

// Package registry knows what package managers ask of a registry and what it
// answers: which request is for which package, what the metadata says of each
// version, and which versions a job may see.
//
//	r := registry.Classify(registry.NPM, "left-pad/-/left-pad-1.3.0.tgz")  // File, left-pad, 1.3.0
//	p, err := registry.ParsePackument(body)                                // digests and dates
//	d := rules.Judge(now, registry.NPM, r.Name, p.File(r))                 // allowed, or why not
//
// It is pure: no network, no files, no clock. Foreign bytes are read as a stream
// with bounds, so that a packument of 100 MB takes the memory of its largest
// version.
//
// A request that is not in the one form that a package manager sends is Other: a
// path that two servers read differently must not pass a rule. What is classified
// is sent on as Request.Path says, not as the job wrote it.
//
// What the dates are worth. npm and PyPI write the time of the upload themselves.
// Go's .info has the time of the commit, which the author of the commit chooses:
// a minimum age stops there only who does not think of it. Cargo's index has no
// time for most versions, and Debian's has none at all; see Rules.Unsupported.
//
// Sources: github.com/npm/registry docs (package-metadata, responses),
// go.dev/ref/mod#goproxy-protocol, PEP 503, 592, 629, 658, 691, 700, the Cargo
// book ("Registry Index"), Debian's RepositoryFormat.
package registry
