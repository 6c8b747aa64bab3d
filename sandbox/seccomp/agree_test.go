// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"slices"
	"testing"
)

// profiles returns every mix of the groups of ci, which are independent of each
// other, and those that open more.
func profiles() []Profile {
	var all []Profile
	for i := range 8 {
		p := Profile{Compat: i&1 != 0, SysVIPC: i&2 != 0, NetlinkRoute: i&4 != 0}
		for _, named := range Profiles() {
			if p.same(named) {
				p = named
			}
		}
		all = append(all, p)
	}
	return append(all, Debug(), Root(), Profile{Trace: true, Identity: true})
}

// edges returns, for each argument, the values at which the rule could go
// wrong: those of its cases, their neighbours, other high halves, other bits.
func (r rule) edges() [6][]uint64 {
	var e [6][]uint64
	var walk func(rule)
	walk = func(r rule) {
		if r.test == nil {
			return
		}
		t := r.test
		add := func(v uint32) {
			for _, x := range []uint32{v, v + 1, v - 1, v | ^t.mask, ^v} {
				e[t.arg] = append(e[t.arg], uint64(x), uint64(x)|1<<32, uint64(x)|0xffffffff<<32)
			}
		}
		add(0)
		add(1 << 31)
		for bit := range 32 {
			e[t.arg] = append(e[t.arg], 1<<bit, 1<<(bit+32))
		}
		for _, c := range t.cases {
			add(c.lo)
			add(c.hi)
			add(c.lo | 0x80800)
			walk(c.then)
		}
		walk(t.other)
	}
	walk(r)
	for i := range e {
		if e[i] == nil {
			e[i] = []uint64{0}
		}
		slices.Sort(e[i])
		e[i] = slices.Compact(e[i])
	}
	return e
}

// combinations calls f with every combination of the arguments' values.
func combinations(e [6][]uint64, f func([6]uint64)) {
	var walk func(i int, args [6]uint64)
	walk = func(i int, args [6]uint64) {
		if i == 6 {
			f(args)
			return
		}
		for _, v := range e[i] {
			args[i] = v
			walk(i+1, args)
		}
	}
	walk(0, [6]uint64{})
}

// thin keeps a product of three arguments small: every argument's whole list,
// against values that the other two tell apart.
func thin(e [6][]uint64) [][6][]uint64 {
	wide := 0
	for _, v := range e {
		if len(v) > 1 {
			wide++
		}
	}
	if wide < 3 {
		return [][6][]uint64{e}
	}
	var out [][6][]uint64
	for keep := range e {
		if len(e[keep]) == 1 {
			continue
		}
		one := e
		for i := range one {
			if i != keep && len(one[i]) > 1 {
				one[i] = []uint64{0, 1, 2, 3, 5, 6, 10, 16, 17, 262, 0x80801, 1<<32 | 1}
			}
		}
		out = append(out, one)
	}
	return out
}

// TestCompiledAgrees runs the compiled programs and compares them with the
// tables on every number and every edge of every argument.
func TestCompiledAgrees(t *testing.T) {
	for _, p := range profiles() {
		for _, a := range []Arch{AMD64, ARM64} {
			prog, err := p.Compile(a)
			if err != nil {
				t.Fatal(err)
			}
			calls := 0
			check := func(arch, nr uint32, args [6]uint64) {
				t.Helper()
				calls++
				got, _, err := run(prog, arch, nr, args)
				if want := p.Verdict(a, arch, nr, args); err != nil || got != want.ret() {
					t.Errorf("%+v %s arch %#x %s%x: program says %#x, %v; tables say %v", p, a, arch, Name(a, nr), args, got, err, want)
				}
			}
			junk := [6]uint64{1, 1 << 32, 0xdeadbeefcafe, ^uint64(0), 16, 0x5412}
			for _, nr := range numbers() {
				for _, args := range [][6]uint64{{}, junk} {
					for _, arch := range []uint32{a.audit(), auditX86_64, auditAArch64, 0x40000003, 0x40000028, 0, 0xffffffff} {
						check(arch, nr, args)
					}
				}
			}
			for _, c := range a.calls() {
				r := p.rule(c.name)
				if r.test == nil {
					continue
				}
				if p.Name == "" {
					continue // the rules of calls do not depend on Compat and SysVIPC
				}
				for _, e := range thin(r.edges()) {
					combinations(e, func(args [6]uint64) {
						calls++
						got, _, err := run(prog, a.audit(), c.nr, args)
						if want := r.verdict(args); err != nil || got != want.ret() {
							t.Errorf("%+v %s %s%x: program says %#x, %v; table says %v", p, a, c.name, args, got, err, want)
						}
					})
				}
			}
			t.Logf("%+v %s: %d instructions, %d calls compared", p, a, len(prog), calls)
		}
	}
}

// numbers are all that a kernel may know, their x32 twins, and the ends.
func numbers() []uint32 {
	var all []uint32
	for nr := range uint32(600) {
		all = append(all, nr, nr|x32Bit, nr|1<<31)
	}
	return append(all, x32Bit-1, x32Bit, 1<<31-1, 1<<31, 0xffffffff, 0xfffffffe)
}

// TestConstantAllow shows that the calls without argument checks are decided
// without them, so that the kernel's bitmap serves them.
func TestConstantAllow(t *testing.T) {
	hot := []string{
		"read", "write", "openat", "close", "mmap", "mprotect", "munmap", "futex", "fcntl", "newfstatat", "statx", "fstat",
		"lseek", "epoll_pwait", "pread64", "readv", "writev", "recvmsg", "sendto", "clock_gettime", "getpid", "execve",
	}
	for _, p := range profiles() {
		for _, a := range []Arch{AMD64, ARM64} {
			prog, err := p.Compile(a)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range a.calls() {
				ret, constant, err := run(prog, a.audit(), c.nr, [6]uint64{})
				if err != nil {
					t.Fatal(err)
				}
				if want := !has(checked, c.name) && (!p.Identity || c.name != "mknod"); constant != want {
					t.Errorf("%+v %s %s: decided without arguments = %v, want %v", p, a, c.name, constant, want)
				}
				if slices.Contains(hot, c.name) && (ret != retAllow || !constant) {
					t.Errorf("%+v %s: hot call %s is not allowed by number alone", p, a, c.name)
				}
			}
		}
	}
}

// FuzzProfile compares program and tables on any profile and any call.
func FuzzProfile(f *testing.F) {
	type compiled struct {
		p    Profile
		a    Arch
		prog []Instruction
	}
	var all []compiled
	for _, p := range profiles() {
		for _, a := range []Arch{AMD64, ARM64} {
			prog, err := p.compile(a)
			if err != nil || len(prog) > maxInstructions {
				f.Fatalf("%d instructions, %v", len(prog), err)
			}
			all = append(all, compiled{p, a, prog})
		}
	}
	f.Add(byte(14), uint32(41), uint64(16), uint64(3), uint64(0), uint64(0), uint64(0), uint64(0))
	f.Add(byte(0), uint32(157), uint64(1<<32|4), uint64(1), uint64(0), uint64(0), uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, which byte, nr uint32, a0, a1, a2, a3, a4, a5 uint64) {
		c := all[int(which)%len(all)]
		args := [6]uint64{a0, a1, a2, a3, a4, a5}
		for _, nr := range []uint32{nr, nr % 600} {
			got, _, err := run(c.prog, c.a.audit(), nr, args)
			if want := c.p.Verdict(c.a, c.a.audit(), nr, args); err != nil || got != want.ret() {
				t.Errorf("%+v %s %s%x: program says %#x, %v; tables say %v", c.p, c.a, Name(c.a, nr), args, got, err, want)
			}
		}
	})
}
