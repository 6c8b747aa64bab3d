// SPDX-License-Identifier: Apache-2.0

// Package inventory lists what a workflow needs of a machine before anything of it runs:
// programs, shells, actions with their Node.js, kinds of machines, images, secrets,
// variables, and the registries that its steps reach.
//
//	items := inventory.Of(ctx, wf, inventory.Machine{LookPath: …, Load: …, Node: …})
//	if slices.ContainsFunc(items, inventory.Item.Lacks) { … }
//
// It reads what is written: names that only a run knows are not found, and a program that
// an unknown action installs is called missing. Nothing is run, and what the caller's Load
// does not fetch is not fetched.
package inventory
