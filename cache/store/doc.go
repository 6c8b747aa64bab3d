// SPDX-License-Identifier: Apache-2.0

// Package store keeps files by their content, shared by all jobs and by all
// runners of one machine.
//
//	s, err := store.Open(store.Config{Dir: dir, MaxBytes: 10 << 30})
//	defer s.Close()
//	temp, err := s.Create()
//	io.Copy(temp, response)
//	entry, err := temp.Commit(ctx, store.Record{Key: key}, want) // want: digests learned elsewhere
//	file, err := s.Get(key)                                 // ErrNotFound, or a file whose bytes were hashed
//
// What it guarantees:
//   - A file becomes visible only after its bytes were compared with the digests
//     that the caller wants, and only as a whole: it is written under another
//     name, synchronised, then renamed.
//   - A file that Get returns has been read and hashed by this process since it
//     was last changed on disk (device, inode, size, mtime and ctime are what
//     tells). Bytes that no longer match are moved to quarantine, and the answer
//     is ErrNotFound: the caller fetches anew. Files are mode 0444 on top.
//   - A runner that is killed at any moment leaves either the file or nothing but
//     a temporary one, which the next Open or Prune removes. Power loss may lose
//     entries; it cannot make a wrong one be served.
//
// There is no database: an entry is a small file beside the others, replaced by
// rename. Nothing here needs a transaction over two entries, several processes
// read and write at the same time without a daemon, and a command that only
// lists does not wait for a runner that writes.
//
//	blobs/sha256/aa/HEX   the bytes, 0444
//	index/aa/HEX          a Record, named by the sha256 of its key; its mtime is the last use
//	tmp/                  being written, each one locked by its writer
//	locks/                one fetch of a key at a time, on this machine
//	quarantine/           bytes that no longer match their name
//	links/                a folder of hard links for each job that has one (Links), locked by its runner
//
// What it cannot do: protect against who runs as the runner's own user.
//
// It needs flock(2) and a file system with atomic rename.
package store
