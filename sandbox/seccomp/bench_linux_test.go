// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BenchmarkCompile is what a start pays for a built-in profile, and what it
// would pay without the generated programs.
func BenchmarkCompile(b *testing.B) {
	b.Run("prebuilt", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := CI().Compile(AMD64); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("compiled", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := CI().compile(AMD64); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAnswer is the supervisor's own work for one notified call.
func BenchmarkAnswer(b *testing.B) {
	for b.Loop() {
		_, _ = CI().Answer(AMD64, 41, [6]uint64{17, 3})
	}
}

// BenchmarkLoad measures seccomp(2) itself. A filter stays for good and each
// one is run for every call, so it is loaded by a new thread each time, which
// then ends.
func BenchmarkLoad(b *testing.B) {
	if Native().audit() == 0 {
		b.Skip("no filter for " + string(Native()))
	}
	chain := func(n int) []Instruction { // what a list without a tree costs
		p := []Instruction{{Code: opLoad, K: offNr}}
		for i := range n {
			p = append(p, Instruction{Code: opJEQ, K: uint32(1000 + i)})
		}
		return append(p, Instruction{Code: opRet, K: retAllow})
	}
	for _, c := range []struct {
		name string
		prog []Instruction
	}{
		{"ci", must(CI().Compile(Native()))},
		{"hostile", must(Hostile().Compile(Native()))},
		{"smallest", chain(6)},
		{"chain of 135", chain(133)},
	} {
		b.Run(c.name, func(b *testing.B) {
			steps := 0
			for nr := range uint32(472) {
				steps += countSteps(c.prog, Native().audit(), nr)
			}
			fprog := unix.SockFprog{Len: uint16(len(c.prog)), Filter: (*unix.SockFilter)(unsafe.Pointer(unsafe.SliceData(c.prog)))}
			var total time.Duration
			for b.Loop() {
				done := make(chan error)
				go func() {
					runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
					if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
						done <- err
						return
					}
					start := time.Now()
					_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&fprog)))
					total += time.Since(start)
					if errno != 0 {
						done <- errno
						return
					}
					done <- nil
				}()
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(c.prog)), "insns")
			b.ReportMetric(float64(steps)/472, "insns/number")
			b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/load")
		})
	}
}

func must(p []Instruction, err error) []Instruction {
	if err != nil {
		panic(err)
	}
	return p
}

// countSteps returns how many instructions decide a number: the kernel walks
// them for each when the filter is loaded, until one looks at an argument.
func countSteps(prog []Instruction, arch, nr uint32) int {
	steps := 0
	var acc uint32
	for pc := 0; pc < len(prog); pc++ {
		in := prog[pc]
		steps++
		cond := false
		switch in.Code {
		case opLoad:
			if in.K >= offArgs {
				return steps
			}
			acc = map[uint32]uint32{offNr: nr, offArch: arch}[in.K]
			continue
		case opJA:
			pc += int(in.K)
			continue
		case opRet:
			return steps
		case opJEQ:
			cond = acc == in.K
		case opJGE:
			cond = acc >= in.K
		}
		if cond {
			pc += int(in.JT)
		} else {
			pc += int(in.JF)
		}
	}
	return steps
}
