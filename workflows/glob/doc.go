// SPDX-License-Identifier: Apache-2.0

// Package glob finds files by the patterns of @actions/glob, those of hashFiles:
//
//	p, err := glob.Parse([]string{"**/go.sum", "!vendor/**"}, "/work", "/home/runner")
//	sum, err := p.Hash(ctx, os.DirFS("/work")) // "" if no file matches
//
// A pattern is minimatch with dot files and without braces and extended globs: * and
// ? stay within a name, [a-z] is a class, ** stands for any number of directories, \
// escapes. A line that begins with # is a comment, each ! turns a pattern's sense
// round, a / at the end matches directories only. A pattern that matches a directory
// matches everything below it. The last pattern that matches decides.
//
// Links to directories are followed if FollowLinks is set.
//
// These are not the rules of the filters of events (branches, paths).
package glob
