// SPDX-License-Identifier: Apache-2.0

// Package testuser gives tests an ordinary user of the machine: one by number, who
// has no name, no groups and no ids but his own, a home, and a control group in
// each hierarchy, as systemd delegates one.
//
//	u, err := testuser.New(become, runner)
//	defer u.Close()
//	dir, err := u.Folder()
//	exec.Command(u.Runner, "exec", "--", "true").Run() // as the user, in his groups
//
// u.Runner is the program in internal/testuser/become. It must be started by root;
// it keeps the process, its arguments, descriptors and environment but for HOME, and
// becomes the user and then the runner. What a test does beside it stays root's: it
// is the runner that is an ordinary user's, and not the proof that an attempt works.
package testuser
