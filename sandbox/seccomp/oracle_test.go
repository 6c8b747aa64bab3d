// SPDX-License-Identifier: Apache-2.0

//go:build cgo && libseccomp

package seccomp

import (
	"encoding/binary"
	"io"
	"os"
	"testing"

	oracle "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// TestOracle lets libseccomp make a program from the same tables and compares
// the two on every number, ABI and edge of an argument. It runs with
//
//	go test -tags libseccomp ./sandbox/seccomp
func TestOracle(t *testing.T) {
	major, minor, micro := oracle.GetLibraryVersion()
	t.Logf("libseccomp %d.%d.%d", major, minor, micro)
	for _, p := range Profiles() {
		for _, a := range []Arch{AMD64, ARM64} {
			t.Run(p.Name+" "+string(a), func(t *testing.T) {
				ours, err := p.Compile(a)
				if err != nil {
					t.Fatal(err)
				}
				theirs := oracleProgram(t, p, a)
				compared := 0
				compare := func(arch, nr uint32, args [6]uint64) {
					compared++
					got, _, err := run(ours, arch, nr, args)
					want, _, oracleErr := run(theirs, arch, nr, args)
					if err != nil || oracleErr != nil {
						t.Fatal(err, oracleErr)
					}
					// libseccomp kills x32 callers; we answer ENOSYS, as a kernel without x32.
					if a == AMD64 && arch == auditX86_64 && nr >= x32Bit && nr != 0xffffffff && want == retKillProcess {
						want = retErrno | uint32(enosys)
					}
					if got != want {
						t.Errorf("arch %#x %s%x: ours %#x, libseccomp's %#x", arch, Name(a, nr), args, got, want)
					}
				}
				for _, nr := range numbers() {
					for _, arch := range []uint32{auditX86_64, auditAArch64, 0x40000003, 0x40000028, 0, 0xffffffff} {
						compare(arch, nr, [6]uint64{})
						compare(arch, nr, [6]uint64{1, 1 << 32, 0xdeadbeefcafe, ^uint64(0), 16, 0x5412})
					}
				}
				for _, c := range a.calls() {
					if r := p.rule(c.name); r.test != nil {
						for _, e := range thin(r.edges()) {
							combinations(e, func(args [6]uint64) { compare(a.audit(), c.nr, args) })
						}
					}
				}
				t.Logf("%d instructions, libseccomp's %d; %d calls compared", len(ours), len(theirs), compared)
			})
		}
	}
}

// oracleProgram builds the profile with libseccomp, rule by rule.
func oracleProgram(t *testing.T, p Profile, a Arch) []Instruction {
	t.Helper()
	filter, err := oracle.NewFilter(oracle.ActErrno.SetReturnCode(int16(enosys)))
	if err != nil {
		t.Fatal(err)
	}
	defer filter.Release()
	arch := map[Arch]oracle.ScmpArch{AMD64: oracle.ArchAMD64, ARM64: oracle.ArchARM64}[a]
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(filter.SetBadArchAction(oracle.ActKillProcess))
	if a != Native() {
		must(filter.AddArch(arch))
		native, err := oracle.GetNativeArch()
		must(err)
		must(filter.RemoveArch(native))
	}
	for _, c := range a.calls() {
		for _, path := range p.rule(c.name).paths() {
			if path.end == (Verdict{Action: Errno, Errno: enosys}) {
				continue // libseccomp refuses a rule that says what the default says
			}
			if nr, err := oracle.GetSyscallFromNameByArch(c.name, arch); err != nil || uint32(nr) != c.nr {
				t.Errorf("%s %s: our number is %d, libseccomp's %d, %v", a, c.name, c.nr, nr, err)
			}
			nr, err := oracle.GetSyscallFromName(c.name) // rules take the native number and translate it
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			action := map[Action]oracle.ScmpAction{
				Allow: oracle.ActAllow, Notify: oracle.ActNotify,
				Errno: oracle.ActErrno.SetReturnCode(int16(path.end.Errno)), Kill: oracle.ActKillProcess,
			}[path.end.Action]
			var conds []oracle.ScmpCondition
			for _, b := range path.bits {
				cond, err := oracle.MakeCondition(uint(b.arg), oracle.CompareMaskedEqual, uint64(b.mask), uint64(b.value))
				must(err)
				conds = append(conds, cond)
			}
			if err := filter.AddRuleConditionalExact(nr, action, conds); err != nil {
				t.Fatalf("%s %+v: %v", c.name, path, err)
			}
		}
	}
	fd, err := unix.MemfdCreate("bpf", unix.MFD_CLOEXEC)
	must(err)
	file := os.NewFile(uintptr(fd), "bpf")
	defer file.Close()
	must(filter.ExportBPF(file))
	_, err = file.Seek(0, io.SeekStart)
	must(err)
	raw, err := io.ReadAll(file)
	must(err)
	prog := make([]Instruction, len(raw)/8)
	for i := range prog {
		b := raw[8*i:]
		prog[i] = Instruction{Code: binary.NativeEndian.Uint16(b), JT: b[2], JF: b[3], K: binary.NativeEndian.Uint32(b[4:])}
	}
	return prog
}

// path is one way through a rule: if all bits match, its end.
type path struct {
	bits []bits
	end  Verdict
}

// bits is the condition arg & mask == value, the only one of libseccomp's that
// can be kept from looking at the high half of a register.
type bits struct {
	arg         int
	mask, value uint32
}

// paths returns all ways through a rule. They exclude each other, so that the
// order in which libseccomp tries them does not matter.
func (r rule) paths() []path {
	if r.test == nil {
		return []path{{end: r.end}}
	}
	t := r.test
	var out []path
	for lo := uint64(0); lo < 1<<32; {
		// The largest aligned block that starts here and has one outcome.
		size := uint64(1)
		for lo%(2*size) == 0 && lo+2*size <= 1<<32 && t.uniform(uint32(lo), uint32(lo+2*size-1)) {
			size *= 2
		}
		prefix := ^uint32(size - 1)
		if uint32(lo)&^t.mask == 0 { // else no argument has this value after the mask
			for _, p := range t.pick(uint32(lo)).paths() {
				one := bits{t.arg, t.mask & prefix, uint32(lo)}
				out = append(out, path{append([]bits{one}, p.bits...), p.end})
			}
		}
		lo += size
	}
	return out
}

// uniform reports whether every value of the block takes the same branch.
func (t *test) uniform(lo, hi uint32) bool {
	for _, c := range t.cases {
		if lo <= c.hi && c.lo <= hi { // the first case that touches the block decides
			return c.lo <= lo && hi <= c.hi
		}
	}
	return true
}
