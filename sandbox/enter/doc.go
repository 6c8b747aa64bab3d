// SPDX-License-Identifier: Apache-2.0

// Package enter builds the program through which a runner that is an ordinary
// user becomes root of a user namespace: setns(2) with CLONE_NEWUSER wants a
// process of one thread, which a Go program never is and any program is right
// after execve(2). It keeps its pid, arguments, environment and streams, joins
// the namespace, makes a mount namespace in it and runs another file.
package enter
