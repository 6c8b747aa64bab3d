// SPDX-License-Identifier: Apache-2.0

// Package packages is a pull-through store of packages: what a job asks of a
// registry is answered from disk where it may be, and what comes from upstream is
// verified before it is kept.
//
//	files, err := store.Open(store.Config{Dir: dir})
//	pool := packages.New(files)
//	client.Transport = pool.Transport(next, packages.Config{
//		Ecosystem: registry.NPM, Base: "https://registry.example.test/", Rules: rules, Observe: log,
//	})
//
// The transport sits between the judge of a request and the dial. next reaches
// the registry and puts in the operator's credentials; what a job sends of its
// own (Authorization, cookies, any header) never goes up with what is kept, so
// that one job cannot choose what another is served. What is no request for a
// package passes to next as it is, unless rules are in force.
//
// What it guarantees:
//   - A file is kept only if its digest was known before from metadata that this
//     process fetched from the registry: npm's dist.integrity, the checksum
//     database's h1, PyPI's and Cargo's sha256, the sha256 of Debian's lists. What
//     a lockfile says is compared on top and makes nothing trusted.
//   - The end of a file is held back until the digest was compared. On a mismatch
//     the answer breaks off; the client cannot take it for whole.
//   - Rules (minimum age, block list, lockfile) hold for what is in the store
//     already as for what is not.
//   - With rules in force, a request that cannot be judged is refused.
//   - Jobs that ask for the same file at the same time share one fetch, also from
//     other processes of this machine.
//   - Offline, only the store answers; what it lacks is an error that names it.
//
// Entries are shared by all jobs of one Scope, trusted or not: a job cannot
// influence what is stored, only that it is.
//
// What it cannot do: it takes the registry's word for which digest belongs to a
// version, like the package manager does. Debian's Release signatures are apt's
// to verify.
package packages
