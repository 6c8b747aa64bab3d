// SPDX-License-Identifier: Apache-2.0

// Package pid1 builds the program that is process 1 of a sandbox: a static ELF
// file of a few KiB with no runtime and no environment, made of a routine of
// this binary's own code and of the command's strings as its data.
//
// It makes itself undumpable (nobody in the sandbox can read its memory, its
// environment or its descriptors: ptrace(2) access checks), starts the command
// in a session of its own, reaps every orphan, hands signals on to the command's
// process group, writes one record to its status descriptor and ends when the
// command ends or when the runner's end of its control pipe closes. The kernel
// then kills whatever is left in the pid namespace (pid_namespaces(7)).
package pid1
