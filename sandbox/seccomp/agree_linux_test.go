// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// prober reads calls from its standard input, makes each by the one system call
// instruction of its section .probe, and writes their results. It is linked so
// that this section is at probeBase, where nothing of Go's ever is.
const prober = `
__asm__(".globl _start\n_start:\n"
#ifdef __x86_64__
	"\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall body\n"
	".section .probe,\"ax\"\n.globl probe\nprobe:\n"
	"\tmov %rdi, %r11\n\tmov (%r11), %rax\n\tmov 8(%r11), %rdi\n\tmov 16(%r11), %rsi\n\tmov 24(%r11), %rdx\n"
	"\tmov 32(%r11), %r10\n\tmov 40(%r11), %r8\n\tmov 48(%r11), %r9\n\tsyscall\n\tret\n"
	".text\n.globl sys\nsys:\n\tmov %rdi, %rax\n\tmov %rsi, %rdi\n\tmov %rdx, %rsi\n\tmov %rcx, %rdx\n\tsyscall\n\tret\n"
#else
	"\tbl body\n"
	".section .probe,\"ax\"\n.globl probe\nprobe:\n"
	"\tmov x9, x0\n\tldr x8, [x9]\n\tldp x0, x1, [x9, 8]\n\tldp x2, x3, [x9, 24]\n\tldp x4, x5, [x9, 40]\n\tsvc 0\n\tret\n"
	".text\n.globl sys\nsys:\n\tmov x8, x0\n\tmov x0, x1\n\tmov x1, x2\n\tmov x2, x3\n\tsvc 0\n\tret\n"
#endif
);
#ifdef __x86_64__
enum { READ = 0, WRITE = 1, EXIT = 60 };
#else
enum { READ = 63, WRITE = 64, EXIT = 93 };
#endif
long probe(unsigned long *call);
long sys(long nr, long a, long b, long c);
void body(void) {
	static unsigned long call[7];
	static long result[1024];
	int n = 0;
	for (;;) {
		unsigned long have = 0;
		while (have < sizeof call) {
			long got = sys(READ, 0, (long)call + have, sizeof call - have);
			if (got <= 0)
				break;
			have += got;
		}
		if (have == sizeof call)
			result[n++] = probe(call);
		if (n == 1024 || have < sizeof call) {
			for (unsigned long done = 0; done < n * sizeof *result;) {
				long put = sys(WRITE, 1, (long)result + done, n * sizeof *result - done);
				if (put <= 0)
					sys(EXIT, 2, 0, 0);
				done += put;
			}
			n = 0;
		}
		if (have < sizeof call)
			sys(EXIT, 0, 0, 0);
	}
}`

const probeBase = 0x50000000

// guard is a filter that decides only calls of the prober's section, and those
// all with the same verdict. Loaded before ours it takes what ours lets through:
// no call of the prober's is ever carried out, not even one to end it.
func guard(verdict uint32) []Instruction {
	const offIP = 8 // seccomp_data.instruction_pointer, little endian
	return []Instruction{
		{Code: opLoad, K: offIP + 4},
		{Code: opJEQ, K: 0, JF: 4},
		{Code: opLoad, K: offIP},
		{Code: opJGE, K: probeBase, JF: 2},
		{Code: opJGE, K: probeBase + 4096, JT: 1},
		{Code: opRet, K: verdict},
		{Code: opRet, K: retAllow},
	}
}

// TestKernelAgrees makes every call there is under the real filter, those that
// it lets through as well, and compares what the kernel made of the compiled
// program with what the program says here. Two guards tell all verdicts apart:
// an errno of its own is stronger than allow and notify, and weaker than ours; a
// trace without a tracer, which is ENOSYS, is weaker than notify too.
func TestKernelAgrees(t *testing.T) {
	needNative(t)
	cc := needTool(t, "gcc")
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "prober.c"), filepath.Join(dir, "prober")
	if err := os.WriteFile(src, []byte(prober), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O1", "-nostdlib", "-static", "-no-pie", "-fno-stack-protector",
		fmt.Sprintf("-Wl,--section-start=.probe=%#x", probeBase), "-o", bin, src).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const (
		retTrace = 0x7ff00000 // SECCOMP_RET_TRACE
		ours     = 4000       // no errno of the kernel's
		answer   = 4001       // likewise
	)
	for _, p := range Profiles() {
		seed := rand.Uint64()
		calls := everyCall(p, rand.New(rand.NewPCG(seed, 0)))
		for _, g := range []struct {
			name          string
			guard         uint32
			allow, notify syscall.Errno // what these verdicts become
		}{
			{"guard by errno", retErrno | ours, ours, ours},
			{"guard by trace", retTrace, enosys, answer},
		} {
			t.Run(p.Name+", "+g.name, func(t *testing.T) {
				prog, err := p.Compile(Native())
				if err != nil {
					t.Fatal(err)
				}
				job := victimJob{Profile: p, Listener: g.notify == answer, Answer: answer, Guard: guard(g.guard), Exec: []string{bin}}
				got := probeCalls(t, job, calls)
				verdicts := map[uint32]int{}
				for i, c := range calls {
					ret, _, err := run(prog, Native().audit(), uint32(c.NR), c.Args)
					if err != nil {
						t.Fatal(err)
					}
					verdicts[ret&0xffff0000]++
					var want syscall.Errno
					switch ret & 0xffff0000 {
					case retAllow:
						want = g.allow
					case retUserNotif:
						want = g.notify
					case retErrno:
						want = syscall.Errno(ret & 0xffff)
					}
					if got[i] != want {
						t.Errorf("seed %d: %s (%#x)%x: kernel says %d, program says %#x, which is %d", seed, Name(Native(), uint32(c.NR)), c.NR, c.Args, got[i], ret, want)
					}
				}
				t.Logf("%d calls: allow %d, notify %d, errno %d", len(calls), verdicts[retAllow], verdicts[retUserNotif], verdicts[retErrno])
				if len(verdicts) != 3 {
					t.Errorf("verdicts %v, want allow, notify and errno and no other", verdicts)
				}
			})
		}
	}
}

// everyCall returns every number with every edge of its arguments, in all six at
// once and in one alone; the same numbers of the x32 ABI, with the sign bit and
// with the high half of the register set; and, for rules that look at
// arguments, the edges of the rule, alone and in random combination.
func everyCall(p Profile, r *rand.Rand) []victimCall {
	a := Native()
	var calls []victimCall
	for nr := range uintptr(lastNumber + 1) {
		if a == AMD64 && (nr == 335 || nr == 336) {
			continue // they pass every filter: see TestKernelRefuses
		}
		for _, number := range []uintptr{nr, nr | 1<<32, nr | 0xffffffff<<32, nr | x32Bit, nr | 1<<31} {
			for i, v := range everyArgument {
				calls = append(calls, victimCall{number, [6]uint64{v, v, v, v, v, v}})
				var one [6]uint64
				one[(int(nr)+i)%6] = v
				calls = append(calls, victimCall{number, one})
			}
		}
	}
	for _, c := range a.calls() {
		rule := p.rule(c.name)
		if rule.test == nil {
			continue
		}
		e := rule.edges()
		for i := range e {
			for _, v := range e[i] {
				var one [6]uint64
				one[i] = v
				calls = append(calls, victimCall{uintptr(c.nr), one})
			}
		}
		for range 1000 {
			var args [6]uint64
			for i := range args {
				args[i] = e[i][r.IntN(len(e[i]))]
			}
			calls = append(calls, victimCall{uintptr(c.nr), args})
		}
	}
	return calls
}

// probeCalls makes the calls in one prober and returns their errnos.
func probeCalls(t *testing.T, job victimJob, calls []victimCall) []syscall.Errno {
	t.Helper()
	var in, out bytes.Buffer
	for _, c := range calls {
		if err := binary.Write(&in, binary.NativeEndian, append([]uint64{uint64(c.NR)}, c.Args[:]...)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, os.Stderr
	if _, err := startVictim(t, job, cmd)(); err != nil {
		t.Fatalf("prober: %v", err)
	}
	results := make([]int64, len(calls))
	if out.Len() != 8*len(calls) {
		t.Fatalf("%d bytes of answers to %d calls", out.Len(), len(calls))
	}
	if err := binary.Read(&out, binary.NativeEndian, results); err != nil {
		t.Fatal(err)
	}
	errnos := make([]syscall.Errno, len(calls))
	for i, n := range results {
		if n >= 0 || n < -4095 {
			t.Fatalf("call %#x%x returned %d: it was carried out", calls[i].NR, calls[i].Args, n)
		}
		errnos[i] = syscall.Errno(-n)
	}
	return errnos
}
