// SPDX-License-Identifier: Apache-2.0

// Package folders keeps folders that appear as a whole and stay as they are, for all
// runners of a machine:
//
//	f, err := folders.Open(dir)
//	lock, err := f.Lock(ctx, key, true) // one makes it, the others wait
//	temp, err := f.Temp()
//	defer temp.Discard()
//	… // write below temp.Name of f.Root
//	err = f.Keep(temp.Name+"/entry", "entries/"+key)
//
// What it guarantees: what a runner that was killed left in tmp goes with the next Open.
// A lock ends with who holds it. Who removes an entry holds its lock alone, so that an
// entry whose lock is shared stays.
//
// What it cannot do: protect against who runs as the runner's own user, or bring files to
// the disk before their folder has its name: its users check what they find.
//
// It needs flock(2) and a file system with atomic rename.
package folders
