// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"syscall"
	"testing"
)

// TestRules states the rules once more, by hand and by example: the other tests
// compare the tables with programs made from them.
func TestRules(t *testing.T) {
	const (
		E = Errno
		N = Notify
	)
	yes := Verdict{Action: Allow}
	no := func(a Action, e syscall.Errno) Verdict { return Verdict{Action: a, Errno: e} }
	const high = 1 << 32 // a bit that the kernel does not see in an int
	for _, c := range []struct {
		name        string
		args        [6]uint64
		ci, hostile Verdict
	}{
		{"read", [6]uint64{1, 2, 3}, yes, yes},
		{"futex", [6]uint64{}, yes, yes},
		{"fork", [6]uint64{}, yes, no(E, 38)},
		{"epoll_wait", [6]uint64{}, yes, no(E, 38)},
		{"shmget", [6]uint64{}, yes, no(E, 38)},
		{"msgrcv", [6]uint64{}, yes, no(E, 38)},
		{"mq_open", [6]uint64{}, no(E, 38), no(E, 38)},

		{"ptrace", [6]uint64{}, no(N, 1), no(N, 1)},
		{"mount", [6]uint64{}, no(N, 1), no(N, 1)},
		{"unshare", [6]uint64{0x10000000}, no(N, 1), no(N, 1)},
		{"bpf", [6]uint64{}, no(N, 1), no(N, 1)},
		{"keyctl", [6]uint64{}, no(N, 38), no(N, 38)},
		{"io_uring_setup", [6]uint64{}, no(N, 38), no(N, 38)},
		{"io_uring_enter", [6]uint64{}, no(E, 38), no(E, 38)},
		{"add_key", [6]uint64{}, no(N, 1), no(N, 1)},
		{"splice", [6]uint64{}, no(E, 22), no(E, 22)},
		{"times", [6]uint64{}, yes, no(E, 38)},
		{"clone3", [6]uint64{}, no(E, 38), no(E, 38)},
		{"openat2", [6]uint64{}, no(E, 38), no(E, 38)},
		{"landlock_create_ruleset", [6]uint64{}, no(E, 38), no(E, 38)},
		{"setxattr", [6]uint64{}, no(E, 95), no(E, 95)},
		{"fgetxattr", [6]uint64{}, no(E, 95), no(E, 95)},

		{"clone", [6]uint64{17}, yes, yes},
		{"clone", [6]uint64{0x3d0f00}, yes, yes},  // pthread_create
		{"clone", [6]uint64{0x1200011}, yes, yes}, // fork of glibc
		{"clone", [6]uint64{0x80}, yes, yes},      // not NEWTIME here
		{"clone", [6]uint64{0x10000000 | 17}, no(N, 1), no(N, 1)},
		{"clone", [6]uint64{0x20000}, no(N, 1), no(N, 1)},
		{"clone", [6]uint64{0x2000000}, no(N, 1), no(N, 1)},
		{"clone", [6]uint64{high | 0x40000000}, no(N, 1), no(N, 1)},
		{"clone", [6]uint64{high | 17}, yes, yes},

		{"socket", [6]uint64{1, 1, 0}, yes, yes},
		{"socket", [6]uint64{1, 0x80805, 0}, yes, yes},
		{"socket", [6]uint64{1, 3, 0}, no(E, 1), no(E, 1)},
		{"socket", [6]uint64{2, 1, 6}, yes, yes},
		{"socket", [6]uint64{10, 0x80802, 17}, yes, yes},
		{"socket", [6]uint64{high | 2, high | 1, high}, yes, yes},
		{"socket", [6]uint64{2, 3, 1}, no(E, 1), no(E, 1)},
		{"socket", [6]uint64{2, 5, 132}, no(E, 1), no(E, 1)},
		{"socket", [6]uint64{2, 2, 1}, no(E, 93), no(E, 93)},
		{"socket", [6]uint64{2, 1, 262}, no(E, 93), no(E, 93)},
		{"socket", [6]uint64{10, 1, 132}, no(E, 93), no(E, 93)},
		{"socket", [6]uint64{2, 2, 136}, no(E, 93), no(E, 93)},
		{"socket", [6]uint64{16, 3, 0}, yes, no(N, 97)},
		{"socket", [6]uint64{16, 0x80002, 0}, yes, no(N, 97)},
		{"socket", [6]uint64{16, 3, 9}, no(E, 93), no(N, 97)},
		{"socket", [6]uint64{16, 1, 0}, no(E, 1), no(N, 97)},
		{"socket", [6]uint64{17, 3, 0}, no(N, 97), no(N, 97)},
		{"socket", [6]uint64{38, 5, 0}, no(N, 97), no(N, 97)},
		{"socket", [6]uint64{40, 1, 0}, no(N, 97), no(N, 97)},
		{"socket", [6]uint64{high | 40, 1, 0}, no(N, 97), no(N, 97)},
		{"socketpair", [6]uint64{1, 1, 0}, yes, yes},
		{"socketpair", [6]uint64{30, 1, 0}, no(N, 97), no(N, 97)},

		{"setsockopt", [6]uint64{3, 1, 2}, yes, yes},
		{"setsockopt", [6]uint64{3, 6, 1}, yes, yes},
		{"setsockopt", [6]uint64{3, 0, 63}, yes, yes},
		{"setsockopt", [6]uint64{3, 0, 64}, no(E, 1), no(E, 1)},
		{"setsockopt", [6]uint64{3, 0, high | 67}, no(E, 1), no(E, 1)},
		{"setsockopt", [6]uint64{3, 41, 66}, yes, yes},
		{"setsockopt", [6]uint64{3, 41, 67}, yes, yes},
		{"setsockopt", [6]uint64{3, 41, 70}, yes, yes},
		{"getsockopt", [6]uint64{3, 41, 64}, no(E, 1), no(E, 1)},
		{"getsockopt", [6]uint64{3, 41, 68}, no(E, 1), no(E, 1)},
		{"getsockopt", [6]uint64{3, 255, 1}, no(E, 92), no(E, 92)},
		{"getsockopt", [6]uint64{3, 263, 1}, no(E, 92), no(E, 92)},
		{"setsockopt", [6]uint64{3, 279, 1}, no(E, 92), no(E, 92)},
		{"setsockopt", [6]uint64{3, high | 283, 1}, no(E, 92), no(E, 92)},
		{"setsockopt", [6]uint64{3, 270, 1}, yes, no(E, 92)},

		{"ioctl", [6]uint64{0, 0x5401}, yes, yes},
		{"ioctl", [6]uint64{0, 0x540e}, yes, yes},
		{"ioctl", [6]uint64{0, 0x5412}, no(N, 1), no(N, 1)},
		{"ioctl", [6]uint64{0, high | 0x5412}, no(N, 1), no(N, 1)},
		{"ioctl", [6]uint64{0, ^uint64(0) ^ 0xffffffff | 0x541c}, no(N, 1), no(N, 1)},
		{"ioctl", [6]uint64{0, 0x5423}, no(N, 1), no(N, 1)},
		{"ioctl", [6]uint64{0, 0x541d}, no(E, 25), no(E, 25)},
		{"ioctl", [6]uint64{0, 0x40086602}, no(E, 25), no(E, 25)},
		{"ioctl", [6]uint64{0, 0x40049409}, yes, yes},

		{"prctl", [6]uint64{15}, yes, yes},
		{"prctl", [6]uint64{4, 0}, yes, yes},
		{"prctl", [6]uint64{4, 1}, no(E, 1), no(E, 1)},
		{"prctl", [6]uint64{7}, no(E, 22), no(E, 22)},
		{"prctl", [6]uint64{8, 1}, no(E, 22), no(E, 22)},
		{"prctl", [6]uint64{22, 2}, no(E, 1), no(E, 1)},
		{"prctl", [6]uint64{24, 1}, no(E, 1), no(E, 1)},
		{"prctl", [6]uint64{28}, no(E, 1), no(E, 1)},
		{"prctl", [6]uint64{35}, no(E, 1), no(E, 1)},
		{"prctl", [6]uint64{59}, no(E, 1), no(E, 1)},
		{"prctl", [6]uint64{47, 1}, yes, yes},
		{"prctl", [6]uint64{47, 2}, no(E, 1), no(E, 1)},
		{"prctl", [6]uint64{0x59616d61, 5}, yes, yes},
		{"prctl", [6]uint64{0x53564d41}, yes, yes},
		{"prctl", [6]uint64{999}, no(E, 22), no(E, 22)},

		{"personality", [6]uint64{0xffffffff}, yes, yes},
		{"personality", [6]uint64{8}, yes, yes},
		{"personality", [6]uint64{0x40000}, no(E, 1), no(E, 1)},
		{"personality", [6]uint64{0x400000}, no(E, 1), no(E, 1)},
		{"mknodat", [6]uint64{0, 0, 0o10644}, yes, yes},
		{"mknodat", [6]uint64{0, 0, 0o644}, yes, yes},
		{"mknodat", [6]uint64{0, 0, 0o140644}, yes, yes},
		{"mknodat", [6]uint64{0, 0, 0o20644}, no(E, 1), no(E, 1)},
		{"mknodat", [6]uint64{0, 0, 0o60644}, no(E, 1), no(E, 1)},
		{"prlimit64", [6]uint64{0, 7}, yes, yes},
		{"prlimit64", [6]uint64{1, 7}, no(E, 1), no(E, 1)},
		{"pipe2", [6]uint64{0, 0x80800}, yes, yes},
		{"pipe2", [6]uint64{0, 0x80}, no(E, 22), no(E, 22)},
		{"madvise", [6]uint64{0, 0, 4}, yes, yes},
		{"madvise", [6]uint64{0, 0, 12}, no(E, 22), no(E, 22)},
		{"madvise", [6]uint64{0, 0, 14}, yes, yes},
		{"madvise", [6]uint64{0, 0, 100}, no(E, 22), no(E, 22)},
		{"renameat2", [6]uint64{0, 0, 0, 0, 1}, yes, yes},
		{"renameat2", [6]uint64{0, 0, 0, 0, 3}, no(E, 22), no(E, 22)},
		{"renameat2", [6]uint64{0, 0, 0, 0, 4}, no(E, 22), no(E, 22)},
		{"timer_create", [6]uint64{1}, yes, yes},
		{"timer_create", [6]uint64{0xfffffff6}, yes, yes},
		{"timer_create", [6]uint64{8}, no(E, 1), no(E, 1)},
		{"timerfd_create", [6]uint64{high | 9}, no(E, 1), no(E, 1)},
		{"memfd_create", [6]uint64{0, 3}, yes, yes},
		{"memfd_create", [6]uint64{0, 0x13}, yes, yes},
		{"memfd_create", [6]uint64{0, 4}, no(E, 22), no(E, 22)},
		{"sched_setaffinity", [6]uint64{0}, yes, yes},
		{"sched_setaffinity", [6]uint64{1}, no(E, 1), no(E, 1)},
		{"setpriority", [6]uint64{0, 0}, yes, yes},
		{"setpriority", [6]uint64{0, 1}, no(E, 1), no(E, 1)},
		{"copy_file_range", [6]uint64{3, 0, 4, 0, 9, 0}, yes, yes},
		{"copy_file_range", [6]uint64{3, 0, 4, 0, 9, 1}, no(E, 22), no(E, 22)},
		{"fallocate", [6]uint64{0, 3}, yes, yes},
		{"fallocate", [6]uint64{0, 2}, no(E, 95), no(E, 95)},
		{"fallocate", [6]uint64{0, 8}, no(E, 95), no(E, 95)},
		{"close_range", [6]uint64{3, 0xffffffff, 4}, yes, yes},
		{"close_range", [6]uint64{3, 0xffffffff, 8}, no(E, 22), no(E, 22)},
		{"pidfd_send_signal", [6]uint64{3, 9, 0, 0}, yes, yes},
		{"pidfd_send_signal", [6]uint64{3, 9, 0, 4}, no(E, 22), no(E, 22)},
		{"execveat", [6]uint64{3, 0, 0, 0, 0x1000}, yes, yes}, // how pid 1 is started
		{"execveat", [6]uint64{3, 0, 0, 0, 0x1100}, yes, yes},
		{"execveat", [6]uint64{3, 0, 0, 0, 0x10000}, no(E, 22), no(E, 22)},
		{"arch_prctl", [6]uint64{0x1002}, yes, yes},
		{"arch_prctl", [6]uint64{0x3001}, yes, yes},
		{"arch_prctl", [6]uint64{0x1012}, no(E, 22), no(E, 22)},
	} {
		for _, a := range []Arch{AMD64, ARM64} {
			nr, ok := number(a, c.name)
			if !ok {
				continue
			}
			if got := CI().Verdict(a, a.audit(), nr, c.args); got != c.ci {
				t.Errorf("ci %s %s%x = %v, want %v", a, c.name, c.args, got, c.ci)
			}
			if got := Hostile().Verdict(a, a.audit(), nr, c.args); got != c.hostile {
				t.Errorf("hostile %s %s%x = %v, want %v", a, c.name, c.args, got, c.hostile)
			}
		}
	}
}

// TestOpenedRules states by hand what debug and root add to ci.
func TestOpenedRules(t *testing.T) {
	yes, eperm := Verdict{Action: Allow}, Verdict{Action: Errno, Errno: 1}
	unknown := Verdict{Action: Errno, Errno: 38}
	for _, c := range []struct {
		name            string
		args            [6]uint64
		ci, debug, root Verdict
	}{
		{"ptrace", [6]uint64{16, 2}, Verdict{Action: Notify, Errno: 1}, yes, Verdict{Action: Notify, Errno: 1}},
		{"process_vm_writev", [6]uint64{2}, Verdict{Action: Notify, Errno: 1}, yes, Verdict{Action: Notify, Errno: 1}},
		{"personality", [6]uint64{0x40000}, eperm, yes, eperm},
		{"personality", [6]uint64{0x40008}, eperm, yes, eperm},
		{"personality", [6]uint64{0x400000}, eperm, eperm, eperm},
		{"pidfd_getfd", [6]uint64{3, 0}, unknown, unknown, unknown},
		{"perf_event_open", [6]uint64{}, Verdict{Action: Notify, Errno: 1}, Verdict{Action: Notify, Errno: 1}, Verdict{Action: Notify, Errno: 1}},
		{"setuid", [6]uint64{0}, unknown, unknown, yes},
		{"setgroups", [6]uint64{1}, unknown, unknown, yes},
		{"setxattr", [6]uint64{}, Verdict{Action: Errno, Errno: 95}, Verdict{Action: Errno, Errno: 95}, yes},
		{"mknod", [6]uint64{0, 0o100644}, unknown, unknown, yes},
		{"mknod", [6]uint64{0, 0o010644}, unknown, unknown, yes},
		{"mknod", [6]uint64{0, 0o020644, 0x103}, unknown, unknown, eperm},
		{"mknodat", [6]uint64{3, 0, 0o060644, 0x800}, eperm, eperm, eperm},
		{"chroot", [6]uint64{}, Verdict{Action: Notify, Errno: 1}, Verdict{Action: Notify, Errno: 1}, Verdict{Action: Notify, Errno: 1}},
		{"prctl", [6]uint64{7}, Verdict{Action: Errno, Errno: 22}, Verdict{Action: Errno, Errno: 22}, yes},    // GET_KEEPCAPS
		{"prctl", [6]uint64{8, 1}, Verdict{Action: Errno, Errno: 22}, Verdict{Action: Errno, Errno: 22}, yes}, // SET_KEEPCAPS
		{"prctl", [6]uint64{28, 0x10}, eperm, eperm, eperm},                                                   // SET_SECUREBITS, KEEP_CAPS among them
		{"capset", [6]uint64{}, unknown, unknown, yes},
	} {
		for _, a := range []Arch{AMD64, ARM64} {
			nr, ok := number(a, c.name)
			if !ok {
				continue
			}
			for i, p := range []Profile{CI(), Debug(), Root()} {
				if got, want := p.Verdict(a, a.audit(), nr, c.args), []Verdict{c.ci, c.debug, c.root}[i]; got != want {
					t.Errorf("%s %s %s%x = %v, want %v", p.Name, a, c.name, c.args, got, want)
				}
			}
		}
	}
}

func number(a Arch, name string) (uint32, bool) {
	for _, c := range a.calls() {
		if c.name == name {
			return c.nr, true
		}
	}
	return 0, false
}

// TestStartPath lists what the child does after it has loaded the filter, and
// what pid 1 does then.
func TestStartPath(t *testing.T) {
	for _, p := range profiles() {
		for _, a := range []Arch{AMD64, ARM64} {
			for _, c := range []struct {
				name string
				args [6]uint64
			}{
				{"write", [6]uint64{3, 0, 1}},
				{"read", [6]uint64{3, 0, 1}},
				{"rt_sigprocmask", [6]uint64{2, 0, 0, 8}},
				{"execveat", [6]uint64{3, 0, 0, 0, 0x1000}},
				{"prctl", [6]uint64{4, 0}},
				{"fcntl", [6]uint64{3, 2, 1}},
				{"clone", [6]uint64{17}},
				{"rt_sigtimedwait", [6]uint64{0, 0, 0, 8}},
				{"wait4", [6]uint64{^uint64(0), 0, 1}},
				{"kill", [6]uint64{2, 15}},
				{"setsid", [6]uint64{}},
				{"ioctl", [6]uint64{0, 0x540e}},
				{"execve", [6]uint64{}},
				{"exit_group", [6]uint64{}},
			} {
				nr, _ := number(a, c.name)
				if got := p.Verdict(a, a.audit(), nr, c.args); got.Action != Allow {
					t.Errorf("%+v %s %s%x = %v", p, a, c.name, c.args, got)
				}
			}
		}
	}
}

// TestForeign shows what other ABIs get.
func TestForeign(t *testing.T) {
	for _, c := range []struct {
		a    Arch
		arch uint32
		nr   uint32
		want Verdict
	}{
		{AMD64, 0x40000003, 20, Verdict{Action: Kill}}, // i386
		{AMD64, auditAArch64, 63, Verdict{Action: Kill}},
		{ARM64, 0x40000028, 3, Verdict{Action: Kill}}, // 32-bit ARM
		{ARM64, auditX86_64, 0, Verdict{Action: Kill}},
		{AMD64, auditX86_64, x32Bit, Verdict{Action: Errno, Errno: 38}},
		{AMD64, auditX86_64, x32Bit | 520, Verdict{Action: Errno, Errno: 38}},
		{AMD64, auditX86_64, 0xffffffff, Verdict{Action: Errno, Errno: 38}},
		{"riscv64", 0, 0, Verdict{Action: Kill}},
	} {
		if got := CI().Verdict(c.a, c.arch, c.nr, [6]uint64{}); got != c.want {
			t.Errorf("%s arch %#x nr %#x = %v, want %v", c.a, c.arch, c.nr, got, c.want)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		nr    uint32
		args  [6]uint64
		name  string
		errno syscall.Errno
	}{
		{101, [6]uint64{}, "ptrace", 1},
		{250, [6]uint64{}, "keyctl", 38},
		{425, [6]uint64{}, "io_uring_setup", 38},
		{41, [6]uint64{40}, "socket", 97},
		{16, [6]uint64{0, 0x5412}, "ioctl", 1},
		{56, [6]uint64{0x10000000}, "clone", 1},
		{0, [6]uint64{}, "read", 1}, // never asked for; refused all the same
		{1000, [6]uint64{}, "syscall 1000", 38},
	} {
		if name, errno := CI().Answer(AMD64, c.nr, c.args); name != c.name || errno != c.errno {
			t.Errorf("Answer(%d) = %s, %d, want %s, %d", c.nr, name, errno, c.name, c.errno)
		}
	}
}
