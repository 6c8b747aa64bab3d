// SPDX-License-Identifier: Apache-2.0

// Package sandbox starts a command in a sandbox that assumes the command is
// hostile.
//
//	sb, err := sandbox.New(ctx, spec)
//	if err != nil { ... }            // *LayerError: a layer could not be applied
//	defer sb.Close()
//	p, err := sb.Start(ctx, &sandbox.Cmd{Args: []string{"npm", "ci"}, Dir: "/work/app", Env: env})
//	if err != nil { ... }
//	result, err := p.Wait()
//
// A sandbox is a program of system calls, written as data: Compile turns a Spec,
// a Cmd and what the kernel offers (Probe) into a list that the child of one
// clone3 walks, ending in execve. Nothing is decided in the child.
//
// It needs Linux 5.14 (cgroup.kill) with Landlock ABI 2 (5.19) for every layer;
// a layer that is missing ends the start with a LayerError unless the Spec names
// it in AllowMissing. It cannot protect against a bug of the kernel itself, nor
// against what is read through the CPU's side channels.
//
// Sources: clone(2), user_namespaces(7), mount_namespaces(7), landlock(7),
// seccomp(2), cgroups(7).
package sandbox
