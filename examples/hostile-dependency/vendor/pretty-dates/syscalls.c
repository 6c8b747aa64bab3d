// SPDX-License-Identifier: Apache-2.0

// Attempts that need a system call of their own; one line each, as install.js
// prints them. Every call has real arguments: with a sane kernel and the rights
// for it, it would succeed.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void report(const char *what, long result)
{
	if (result < 0)
		printf("attempt: %s: denied (%s)\n", what, strerrorname_np(errno));
	else
		printf("attempt: %s: SUCCEEDED\n", what);
	fflush(stdout);
}

int main(void)
{
	// A process of our own to trace; it waits until we are done.
	pid_t victim = fork();
	if (victim == 0) {
		pause();
		_exit(0);
	}
	report("trace another process, ptrace", ptrace(PTRACE_SEIZE, victim, 0, 0));
	kill(victim, SIGKILL);
	waitpid(victim, 0, 0);

	report("read a raw network, socket(AF_PACKET)", socket(AF_PACKET, SOCK_RAW, 0x0300));
	report("talk to the kernel's crypto, socket(AF_ALG)", socket(AF_ALG, SOCK_SEQPACKET, 0));

	char params[256] = {0};
	report("make an io_uring, io_uring_setup", syscall(SYS_io_uring_setup, 4, params));

	union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	report("make a BPF map, bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map));

	report("look at the session's keys, keyctl", syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* session */, 1));
	report("store a key, add_key", syscall(SYS_add_key, "user", "example", "x", 1, -2 /* process */));

	report("mount a file system, mount", mount("none", "/mnt", "tmpfs", 0, 0));
	report("make a user namespace, unshare", unshare(CLONE_NEWUSER | CLONE_NEWNS));
	report("make one by clone", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	// Last: a process that has left the root may not make a user namespace.
	report("leave the root, chroot", chroot("/tmp"));
	return 0;
}
