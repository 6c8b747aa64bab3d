// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func needNative(t testing.TB) {
	t.Helper()
	if Native().audit() == 0 {
		lack(t, "no filter for "+string(Native()))
	}
}

// lastNumber is well behind the last system call of any kernel so far.
const lastNumber = 600

// everyArgument are the values that a refused call gets as all of its six
// arguments: the edges of 32 and 64 bits, and high halves alone.
var everyArgument = []uint64{0, 1, 1<<31 - 1, 1 << 31, 0xffffffff, 1 << 32, 1<<32 | 1, 0xffffffff << 32, 1<<63 - 1, 1 << 63, ^uint64(0)}

// TestKernelRefuses makes, under the real filter, every call that the tables
// refuse, with every edge of its arguments: none may do anything.
func TestKernelRefuses(t *testing.T) {
	needNative(t)
	a := Native()
	for _, p := range Profiles() {
		for _, listener := range []bool{true, false} {
			t.Run(p.Name+map[bool]string{true: ", listener", false: ", no listener"}[listener], func(t *testing.T) {
				var calls []victimCall
				var want []syscall.Errno
				notified := map[string]int{}
				add := func(nr uint32, args [6]uint64) {
					v := p.Verdict(a, a.audit(), nr, args)
					if v.Action == Allow {
						return
					}
					if v.Action == Notify && !listener {
						v.Errno = enosys // seccomp(2): no listener attached
					} else if v.Action == Notify {
						notified[Name(a, nr)]++
					}
					calls = append(calls, victimCall{uintptr(nr), args})
					want = append(want, v.Errno)
				}
				// The kernel takes 32 bits of the number's register as well.
				addHigh := func(nr uint32, args [6]uint64) {
					before := len(calls)
					add(nr, args)
					for i := before; i < len(calls); i++ {
						calls[i].NR |= 1 << 32
					}
				}
				for nr := range uint32(lastNumber + 1) {
					for _, v := range everyArgument {
						args := [6]uint64{v, v, v, v, v, v}
						add(nr|x32Bit, args)
						add(nr|1<<31, args)
						if a == AMD64 && (nr == 335 || nr == 336) {
							continue // uretprobe and uprobe pass every filter (6.14): SIGILL but for the kernel's own trampoline
						}
						add(nr, args)
						addHigh(nr, args)
					}
				}
				for _, c := range a.calls() {
					r := p.rule(c.name)
					if r.test == nil {
						continue
					}
					for _, e := range thin(r.edges()) {
						for i := range e { // one argument at a time, the others zero
							for _, v := range e[i] {
								var args [6]uint64
								args[i] = v
								add(c.nr, args)
								args[0] = 2 // AF_INET, IPPROTO_* and the like
								if i != 0 {
									add(c.nr, args)
								}
							}
						}
					}
				}
				got, seen := makeCalls(t, victimJob{Profile: p, Listener: listener}, calls)
				for i, c := range calls {
					if got[i] != want[i] {
						t.Errorf("%s%x: kernel says %d, want %d", Name(a, uint32(c.NR)), c.Args, got[i], want[i])
					}
				}
				for name, n := range notified {
					if listener && seen[name] != n {
						t.Errorf("%s: supervisor saw %d calls of %d", name, seen[name], n)
					}
				}
				t.Logf("%d calls, %d names notified", len(calls), len(seen))
			})
		}
	}
}

// TestKernelAllows makes harmless calls and expects the answer of the kernel
// behind the filter.
func TestKernelAllows(t *testing.T) {
	needNative(t)
	const bad = ^uint64(0) // no such descriptor, no such address
	type expect struct {
		nr          uintptr
		args        [6]uint64
		ci, hostile syscall.Errno
	}
	table := []expect{
		{unix.SYS_GETPID, [6]uint64{}, 0, 0},
		{unix.SYS_CLOSE, [6]uint64{bad}, unix.EBADF, unix.EBADF},
		{unix.SYS_IOCTL, [6]uint64{bad, 0x5401}, unix.EBADF, unix.EBADF},
		{unix.SYS_IOCTL, [6]uint64{bad, 0x40049409}, unix.EBADF, unix.EBADF},
		{unix.SYS_PRCTL, [6]uint64{3}, 0, 0},
		{unix.SYS_PRCTL, [6]uint64{39}, 0, 0},
		{unix.SYS_PRCTL, [6]uint64{4, 0}, 0, 0},
		{unix.SYS_SOCKET, [6]uint64{1, 1, 0}, 0, 0},
		{unix.SYS_SOCKET, [6]uint64{2, 1, 6}, 0, 0},
		{unix.SYS_SOCKET, [6]uint64{2, 0x80802, 0}, 0, 0},
		{unix.SYS_SOCKET, [6]uint64{16, 3, 0}, 0, unix.EAFNOSUPPORT},
		{unix.SYS_SOCKET, [6]uint64{17, 3, 0}, unix.EAFNOSUPPORT, unix.EAFNOSUPPORT},
		{unix.SYS_SOCKET, [6]uint64{2, 1, 262}, unix.EPROTONOSUPPORT, unix.EPROTONOSUPPORT},
		{unix.SYS_PERSONALITY, [6]uint64{0xffffffff}, 0, 0},
		{unix.SYS_SHMGET, [6]uint64{0, 0, 0}, unix.EINVAL, unix.ENOSYS},
		{unix.SYS_SETPRIORITY, [6]uint64{0, 0, 0}, 0, 0},
		{unix.SYS_MEMFD_CREATE, [6]uint64{0, 0}, unix.EFAULT, unix.EFAULT},
		{unix.SYS_CLOSE_RANGE, [6]uint64{900, 1000, 4}, 0, 0},
		{unix.SYS_EXECVEAT, [6]uint64{bad, 0, 0, 0, 0x1000}, unix.EFAULT, unix.EFAULT},
		{unix.SYS_SETXATTR, [6]uint64{}, unix.EOPNOTSUPP, unix.EOPNOTSUPP},
	}
	for _, p := range Profiles() {
		var calls []victimCall
		for _, c := range table {
			calls = append(calls, victimCall{c.nr, c.args})
		}
		got, _ := makeCalls(t, victimJob{Profile: p, Listener: true}, calls)
		for i, c := range table {
			want := c.ci
			if p == Hostile() {
				want = c.hostile
			}
			if p.Identity && c.nr == unix.SYS_SETXATTR {
				want = unix.EFAULT
			}
			if got[i] != want {
				t.Errorf("%s: %s%x = %d, want %d", p.Name, Name(Native(), uint32(c.nr)), c.args, got[i], want)
			}
		}
	}
}

// int80 makes system calls through int 0x80, which a 64-bit kernel takes from
// a 64-bit process too. Without an argument it makes one, getpid. With one it
// makes every number with edges of its arguments, each in a child of its own,
// and wants SIGSYS to end them all; it names the first number that is answered.
const int80 = `
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall body\n");
static long sys(long nr, long a, long b, long c, long d) {
	long r;
	register long r10 __asm__("r10") = d;
	__asm__ volatile ("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return r;
}
static long int80(long nr, long v) {
	long r;
	__asm__ volatile ("int $0x80" : "=a"(r) : "a"(nr), "b"(v), "c"(v), "d"(v), "S"(v), "D"(v) : "memory", "r8", "r9", "r10", "r11");
	return r;
}
static void answered(long nr) {
	char text[] = "number 0000 is answered\n";
	for (int i = 10; i > 6; i--, nr /= 10)
		text[i] = '0' + nr % 10;
	sys(1, 2, (long)text, sizeof text - 1, 0);
	sys(60, 1, 0, 0, 0);
}
void body(long *sp) {
	static const long values[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0xffffffff00000000, -1};
	if (sp[0] < 2)
		sys(60, int80(20, 0) > 0 ? 42 : 43, 0, 0, 0);
	sys(157, 4, 0, 0, 0); // PR_SET_DUMPABLE 0: no core files
	for (long nr = 0; nr <= LAST; nr++)
		for (int i = 0; i < 2 * sizeof values / sizeof *values; i++) {
			int status = 0;
			long high = i % 2 ? 0xffffffffL << 32 : 0; // of the number
			long pid = sys(56, 17, 0, 0, 0);
			if (pid == 0) {
				int80(nr | high, values[i / 2]);
				sys(60, 0, 0, 0, 0);
			}
			if (pid < 0 || sys(61, pid, (long)&status, 0, 0) != pid || (status & 0x7f) != 31)
				answered(nr);
		}
	sys(60, 0, 0, 0, 0);
}`

// TestKernelKillsForeignABI wants SIGSYS for every call through int 0x80.
func TestKernelKillsForeignABI(t *testing.T) {
	if Native() != AMD64 {
		t.Skip("int 0x80 is amd64's")
	}
	cc := needTool(t, "gcc")
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
	if err := os.WriteFile(src, []byte(int80), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O1", "-nostdlib", "-static", "-fno-stack-protector", fmt.Sprintf("-DLAST=%d", lastNumber), "-o", bin, src).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var exit *exec.ExitError
	if err := exec.Command(bin).Run(); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		lack(t, "this kernel has no int 0x80: "+err.Error())
	}
	for _, p := range Profiles() {
		_, err := startVictim(t, victimJob{Profile: p, Exec: []string{bin}}, exec.Command("/proc/self/exe"))()
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGSYS {
			// Not on to the others: without the filter they would reach the kernel.
			t.Fatalf("%s: int 0x80 ended with %v, want SIGSYS", p.Name, err)
		}
		cmd := exec.Command("/proc/self/exe")
		var out strings.Builder
		cmd.Stderr = &out
		if _, err := startVictim(t, victimJob{Profile: p, Exec: []string{bin, "all"}}, cmd)(); err != nil {
			t.Errorf("%s: int 0x80: %v: %s", p.Name, err, out.String())
		}
	}
}

// TestPrograms runs real programs under the filter: no capability, no
// namespace, the filter only.
func TestPrograms(t *testing.T) {
	needNative(t)
	for _, c := range []struct{ name, script, want string }{
		{"bash", `x=$(echo a | tr a b); [ "$x" = b ] && (exit 3); echo $?`, "3"},
		{"git", `git init -q r && cd r && git config user.email a@b && git config user.name a && echo x > f && git add f && git commit -qm m && git gc -q && git log --format=%s`, "m"},
		{"python3", `python3 -c 'import subprocess, threading, socket, tempfile, os; t = threading.Thread(target=lambda: None); t.start(); t.join(); s = socket.socket(); s.bind(("127.0.0.1", 0)); os.times(); os.sched_getscheduler(0); os.sched_getparam(0); print(subprocess.check_output(["echo", "ok"]).decode())'`, "ok"},
		{"node", `node -e 'require("os").networkInterfaces(); require("fs").writeFileSync("f", "x"); require("child_process").exec("echo ok", (e, out) => console.log(e || out))'`, "ok"},
		{"npm", `npm --version > v && test -s v && echo ok`, "ok"},
		{"go", `go version > v && go env GOROOT > r && test -s r && echo ok`, "ok"},
		{"gcc", `echo 'int main(void){return 0;}' > a.c && gcc a.c && ./a.out && echo ok`, "ok"},
		{"tar", `mkdir d && echo x > d/f && tar czf d.tgz d && rm -r d && tar xzf d.tgz && cp -a d e && cat e/f`, "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			shell := needTool(t, "bash")
			needTool(t, c.name)
			cmd := exec.Command("/proc/self/exe")
			cmd.Dir = t.TempDir()
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C"}
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			seen, err := startVictim(t, victimJob{Profile: CI(), Listener: true, Exec: []string{shell, "-c", c.script}}, cmd)()
			if err != nil || strings.TrimSpace(out.String()) != c.want {
				t.Errorf("%v: %s", err, out.String())
			}
			if len(seen) > 0 {
				t.Logf("denied: %v", seen)
			}
		})
	}
}
