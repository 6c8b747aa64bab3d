// SPDX-License-Identifier: Apache-2.0

// Package lockfile reads the lockfiles of package managers into the set of
// packages that they name.
//
//	packages, err := lockfile.Parse("package-lock.json", file)
//	rules := registry.Rules{Lock: registry.NewLock(packages...)}
//
// It reads package-lock.json and npm-shrinkwrap.json (version 1 to 3),
// pnpm-lock.yaml (5 to 9), yarn.lock (classic and berry), go.sum, Cargo.lock,
// and requirements files of pip whose every line has a version and a hash.
//
// A lockfile is written by whoever wrote the job. What it names may be fetched;
// what it says of digests is compared with what comes, on top of what the
// registry says, and never makes anything trusted.
//
// It is pure: no network and no other files ("-r other.txt" is an error). Sizes
// are bounded.
package lockfile
