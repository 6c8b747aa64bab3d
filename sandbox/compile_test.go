// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/cgroup"
	"github.com/zviz/run/sandbox/seccomp"
)

// machine is a probe of a machine that has everything; it needs no kernel.
func machine(arch string) sandbox.Probe {
	p := sandbox.Probe{
		Arch: arch, LandlockABI: 7, LastCap: 40, OpenFilesMax: 1 << 20, MemoryBytes: 8 << 30,
		Cgroups:   cgroup.Hierarchies{V2: "/sys/fs/cgroup", Controllers: []string{"memory", "pids", "cpu"}, Kill: true},
		ProcMasks: []sandbox.ProcMask{{Path: "kcore"}, {Path: "acpi", Dir: true}},
	}
	for _, l := range sandbox.Layers() {
		p.Layers = append(p.Layers, sandbox.LayerOffer{Name: l, OK: true, Evidence: "there"})
	}
	return p
}

func plainSpec(profile seccomp.Profile) sandbox.Spec {
	return sandbox.Spec{
		ID: "x", StateDir: "/state", Home: "/home/job", Hostname: "zviz", Profile: profile,
		Root:   sandbox.Root{Kind: sandbox.RootHost, Entries: []sandbox.Entry{{Target: "/bin", Link: "usr/bin"}, {Target: "/usr", Source: "/usr", Dir: true}}},
		Mounts: []sandbox.Mount{{Source: "/src/app", Target: "/src/app", Write: true, Owner: &sandbox.Owner{UID: 5, GID: 6}, ReadOnly: []string{"/src/app/.git"}}},
		IDs:    sandbox.MapRange(0x70000000, 65536, 1000, 1000),
		Limits: sandbox.Limits{MemoryBytes: 1 << 30, Pids: 100},
	}
}

// marks tell from a program's calls that a layer is in it.
func marks() map[sandbox.Layer]func(sandbox.Program) bool {
	called := func(name string, check func(sandbox.Call) bool) func(sandbox.Program) bool {
		return func(p sandbox.Program) bool {
			return slices.ContainsFunc(p.Calls, func(c sandbox.Call) bool { return c.Name == name && (check == nil || check(c)) })
		}
	}
	first := func(v uint64) func(sandbox.Call) bool {
		return func(c sandbox.Call) bool { return c.Args[0].Kind == sandbox.ArgInt && c.Args[0].Int == v }
	}
	flag := func(f uint64) func(sandbox.Program) bool {
		return func(p sandbox.Program) bool { return p.Flags&f != 0 }
	}
	return map[sandbox.Layer]func(sandbox.Program) bool{
		sandbox.LayerPID: flag(0x20000000), sandbox.LayerMount: flag(0x20000), sandbox.LayerIPC: flag(0x8000000),
		sandbox.LayerUTS: flag(0x4000000), sandbox.LayerCgroup: flag(0x2000000), sandbox.LayerNet: flag(0x40000000),
		sandbox.LayerRootfs:       called("pivot_root", nil),
		sandbox.LayerUser:         called("setns", func(c sandbox.Call) bool { return c.Args[1].Int == 0x10000000 }),
		sandbox.LayerRlimits:      called("prlimit64", nil),
		sandbox.LayerNoNewPrivs:   called("prctl", first(38)),
		sandbox.LayerLandlock:     called("landlock_restrict_self", nil),
		sandbox.LayerCapabilities: called("capset", nil),
		sandbox.LayerSeccomp:      func(p sandbox.Program) bool { return len(p.Filter) > 0 && called("seccomp", nil)(p) },
	}
}

func TestCompileHasEveryLayer(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		for _, profile := range []seccomp.Profile{seccomp.CI(), seccomp.Hostile()} {
			t.Run(arch+"-"+profile.Name, func(t *testing.T) {
				p, err := sandbox.Compile(plainSpec(profile), sandbox.Cmd{Args: []string{"true"}, Dir: "/src/app"}, machine(arch))
				if err != nil {
					t.Fatal(err)
				}
				for l, in := range marks() {
					if !in(p) {
						t.Errorf("%s is not in the program", l)
					}
				}
				order(t, p)
				if s := p.String(); !strings.Contains(s, "pivot_root") {
					t.Errorf("printed %q", s)
				}
			})
		}
	}
}

// order checks what must not be exchanged: each call needs the one after it not
// to have happened yet.
func order(t *testing.T, p sandbox.Program) {
	t.Helper()
	last := -1
	for _, want := range []string{"move_mount", "pivot_root", "umount2", "setresuid", "landlock_restrict_self", "capset", "close_range", "seccomp", "read", "execveat"} {
		i := slices.IndexFunc(p.Calls, func(c sandbox.Call) bool { return c.Name == want })
		if i <= last {
			t.Errorf("%s is call %d, want it after %d", want, i, last)
		}
		last = i
	}
	if p.Calls[len(p.Calls)-1].Name != "execveat" {
		t.Error("the program does not end in execveat")
	}
	for _, c := range p.Calls {
		if c.MayFail && c.Name != "keyctl" {
			t.Errorf("%s may fail in silence", c.Name)
		}
	}
}

// TestCompileHeld: only what the caller holds may be missing from its place.
func TestCompileHeld(t *testing.T) {
	spec := plainSpec(seccomp.CI())
	spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: "/proc/self/fd/9", Target: spec.Home + "/.cache", Write: true, Held: true})
	p, err := sandbox.Compile(spec, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, machine("amd64"))
	if err != nil {
		t.Fatal(err)
	}
	var may []string
	for _, c := range p.Calls {
		if c.MayFail && c.Name != "keyctl" {
			may = append(may, c.Name+" "+c.Object)
		}
	}
	if want := []string{"openat2 " + spec.Home + "/.cache", "move_mount " + spec.Home + "/.cache"}; !slices.Equal(may, want) {
		t.Errorf("may fail: %q, want %q", may, want)
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct {
		name string
		spec func(*sandbox.Spec)
		cmd  sandbox.Cmd
		want string
	}{
		{"host ids", func(s *sandbox.Spec) { s.IDs = sandbox.MapRange(0, 65536, 1000, 1000) }, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, "mapped away"},
		{"ids outside of the range", func(s *sandbox.Spec) { s.IDs.UID = 65536 }, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, "not mapped"},
		{"little memory", func(s *sandbox.Spec) { s.Limits.MemoryBytes = 1 << 20 }, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, "below 16 MiB"},
		{"relative target", func(s *sandbox.Spec) { s.Mounts[0].Target = "app" }, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, "absolute"},
		{"target with ..", func(s *sandbox.Spec) { s.Mounts[0].Target = "/src/../etc" }, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, "absolute"},
		{"target /", func(s *sandbox.Spec) { s.Mounts[0].Target = "/" }, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, "absolute"},
		{"target in /proc", func(s *sandbox.Spec) { s.Mounts[0].Target = "/proc/self" }, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, "part of the system"},
		{"no command", func(*sandbox.Spec) {}, sandbox.Cmd{Dir: "/"}, "empty command"},
		{"null byte", func(*sandbox.Spec) {}, sandbox.Cmd{Args: []string{"a\x00b"}, Dir: "/"}, "null byte"},
		{"relative directory", func(*sandbox.Spec) {}, sandbox.Cmd{Args: []string{"true"}, Dir: "x"}, "not absolute"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := plainSpec(seccomp.CI())
			tt.spec(&s)
			_, err := sandbox.Compile(s, tt.cmd, machine("amd64"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want …%s…", err, tt.want)
			}
		})
	}
}

// Whatever a machine lacks and a spec allows: a program that compiles has every
// layer that was not both missing and allowed, and says so.
func FuzzCompile(f *testing.F) {
	f.Add(uint32(0), uint32(0), true, "/src/app", "true")
	f.Add(uint32(1<<14), uint32(1<<14), false, "/tmp/x", "sh")
	f.Fuzz(func(t *testing.T, missing, allowed uint32, arm bool, target, arg string) {
		arch, profile := "amd64", seccomp.CI()
		if arm {
			arch, profile = "arm64", seccomp.Hostile()
		}
		probe, spec := machine(arch), plainSpec(profile)
		spec.Mounts[0].Target, spec.Mounts[0].ReadOnly = target, nil
		for i, l := range sandbox.Layers() {
			if missing&(1<<i) != 0 {
				probe.Layers[i].OK = false
			}
			if allowed&(1<<i) != 0 {
				spec.AllowMissing = append(spec.AllowMissing, l)
			}
		}
		p, err := sandbox.Compile(spec, sandbox.Cmd{Args: []string{"sh", "-c", arg}, Dir: "/"}, probe)
		if le, ok := errors.AsType[*sandbox.LayerError](err); ok {
			if probe.Offer(le.Layer).OK {
				t.Fatalf("refused for %s, which is there", le.Layer)
			}
			return
		}
		if err != nil {
			return
		}
		in := marks()
		for _, l := range sandbox.Layers() {
			lifted := !probe.Offer(l).OK && slices.Contains(spec.AllowMissing, l) && !l.Required()
			i := slices.IndexFunc(p.Layers, func(r sandbox.LayerReport) bool { return r.Name == l })
			if i < 0 {
				t.Fatalf("%s is not reported", l)
			}
			if got := p.Layers[i].State; (got == sandbox.MissingAllowed) != lifted || got != sandbox.Applied && got != sandbox.MissingAllowed {
				t.Fatalf("%s is reported as %s", l, got)
			}
			if has := in[l]; has != nil && has(p) == lifted {
				t.Fatalf("%s: in the program %v, lifted %v", l, has(p), lifted)
			}
		}
	})
}
