// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sandbox_test

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/sandbox"
)

// lift takes one layer away and leaves the others as they are.
type lift struct {
	name string
	// lacks is for a layer that the user may go without: the machine is said to lack
	// it. The others are taken out of the compiled program.
	lacks sandbox.Layer
	spec  func(*sandbox.Spec, *scene)
	edit  func(*sandbox.Program, *scene)
}

// lifts returns one for each line of the table in docs/security.md. "mount" has
// none: without a mount namespace the root would be the runner's own, so it goes
// with rootfs.
func lifts() []lift {
	edited := func(name string, edit func(*sandbox.Program)) lift {
		return lift{name: name, edit: func(p *sandbox.Program, _ *scene) { edit(p) }}
	}
	lacking := func(l sandbox.Layer) lift { return lift{name: string(l), lacks: l} }
	return []lift{
		{name: "user", edit: func(p *sandbox.Program, s *scene) { hostUser(p, s.ids) }},
		edited("pid", func(p *sandbox.Program) { p.Flags &^= unix.CLONE_NEWPID }),
		edited("rootfs", hostRoot),
		{
			name: "proc masks", edit: func(p *sandbox.Program, _ *scene) { unmask(p) },
			spec: func(s *sandbox.Spec, _ *scene) { s.MinimalProc = false },
		},
		lacking(sandbox.LayerNet),
		{name: "egress", spec: func(s *sandbox.Spec, sc *scene) { s.NetNS = sc.outside }},
		lacking(sandbox.LayerIPC),
		lacking(sandbox.LayerUTS),
		lacking(sandbox.LayerCgroup),
		lacking(sandbox.LayerPids),
		lacking(sandbox.LayerMemory),
		lacking(sandbox.LayerCPU),
		lacking(sandbox.LayerKill),
		edited("rlimits", func(p *sandbox.Program) {
			drop(p, func(c sandbox.Call) bool { return c.Layer == sandbox.LayerRlimits })
		}),
		edited("no_new_privs", newPrivs),
		lacking(sandbox.LayerLandlock),
		edited("capabilities", allCapabilities),
		lacking(sandbox.LayerSeccomp),
		edited("descriptors", func(p *sandbox.Program) {
			drop(p, func(c sandbox.Call) bool { return c.Name == "close_range" })
		}),
		{name: "streams", edit: func(p *sandbox.Program, s *scene) { ownStdout(p, s) }},
		edited("nosuid", suid),
	}
}

// liftOf returns the lift of that name.
func liftOf(name string) lift {
	all := lifts()
	return all[slices.IndexFunc(all, func(l lift) bool { return l.name == name })]
}

// drop puts a call that does nothing in place of those chosen: later calls name
// earlier ones by their index.
func drop(p *sandbox.Program, chosen func(sandbox.Call) bool) {
	p.Calls = slices.Clone(p.Calls)
	for i, c := range p.Calls {
		if chosen(c) {
			p.Calls[i] = sandbox.Call{Layer: c.Layer, Name: "close", Args: []sandbox.Arg{number(-1)}, Object: "lifted", MayFail: true}
		}
	}
}

func number(n int64) sandbox.Arg { return sandbox.Arg{Kind: sandbox.ArgInt, Int: uint64(n)} }

// hostUser leaves the job in the host's user namespace, as the user without a
// name that its files on disk belong to.
func hostUser(p *sandbox.Program, ids sandbox.IDMap) {
	p.Calls = slices.Clone(p.Calls)
	for i, c := range p.Calls {
		if c.Layer == sandbox.LayerUser && c.Name == "setns" {
			// Else the host's root would lose its capabilities with its id, before the
			// layers that need them (capabilities(7), SECBIT_NO_SETUID_FIXUP).
			p.Calls[i].Name, p.Calls[i].Args = "prctl", []sandbox.Arg{number(unix.PR_SET_SECUREBITS), number(4), number(0), number(0), number(0)}
		}
		id, ok := map[string]uint32{"setresuid": ids.UIDs[0].Outside + ids.UID, "setresgid": ids.UIDs[0].Outside + ids.GID}[c.Name]
		if ok {
			p.Calls[i].Args = []sandbox.Arg{number(int64(id)), number(int64(id)), number(int64(id))}
		}
	}
}

// hostRoot leaves the job in the root that the runner has.
func hostRoot(p *sandbox.Program) {
	drop(p, func(c sandbox.Call) bool {
		return c.Layer == sandbox.LayerRootfs && slices.Contains([]string{"openat2", "move_mount", "mount", "pivot_root", "umount2"}, c.Name)
	})
}

// unmask leaves /proc as it is mounted.
func unmask(p *sandbox.Program) {
	drop(p, func(c sandbox.Call) bool { return c.Name == "mount" && strings.HasPrefix(c.Object, "/proc/") })
}

// suid leaves the flag nosuid off every mount.
func suid(p *sandbox.Program) {
	p.Handles = slices.Clone(p.Handles)
	for i := range p.Handles {
		p.Handles[i].Flags = slices.DeleteFunc(slices.Clone(p.Handles[i].Flags), func(f string) bool { return f == "nosuid" })
	}
}

// newPrivs leaves no_new_privs out. Then Landlock and seccomp need a capability,
// so that the sets are emptied by execve(2), as for any user but root.
func newPrivs(p *sandbox.Program) {
	drop(p, func(c sandbox.Call) bool { return c.Layer == sandbox.LayerNoNewPrivs || c.Name == "capset" })
}

// allCapabilities gives the command every capability of the job's user namespace,
// and keeps them at execve(2): to leave the sets alone would be no test, since the
// kernel empties them for a user that is not root.
func allCapabilities(p *sandbox.Program) {
	last := 0
	for _, c := range p.Calls {
		if strings.HasPrefix(c.Object, "bounding set") {
			last = int(c.Args[1].Int)
		}
	}
	mask := uint64(1)<<(last+1) - 1
	header := binary.NativeEndian.AppendUint64(nil, unix.LINUX_CAPABILITY_VERSION_3)
	var sets []byte // capget(2): effective, permitted, inheritable; twice 32 of each
	for _, half := range []uint64{mask, mask >> 32} {
		for range 3 {
			sets = binary.NativeEndian.AppendUint32(sets, uint32(half))
		}
	}
	drop(p, func(c sandbox.Call) bool { return c.Name == "capset" || c.Object == "ambient set" })
	for i, c := range p.Calls {
		switch {
		case c.Object == "securebits":
			p.Calls[i].Name = "capset"
			p.Calls[i].Args = []sandbox.Arg{{Kind: sandbox.ArgData, Data: header}, {Kind: sandbox.ArgData, Data: sets}}
		case strings.HasPrefix(c.Object, "bounding set"):
			p.Calls[i].Args = []sandbox.Arg{number(unix.PR_CAP_AMBIENT), number(unix.PR_CAP_AMBIENT_RAISE), c.Args[1], number(0), number(0)}
		}
	}
}

// ownStdout gives the command the caller's file itself.
func ownStdout(p *sandbox.Program, s *scene) {
	p.Calls = slices.Clone(p.Calls)
	for i, c := range p.Calls {
		if c.Name == "dup3" && c.Object == string(sandbox.HandleStdout) {
			p.Calls[i].Args = []sandbox.Arg{number(int64(s.output)), c.Args[1], c.Args[2]}
		}
	}
}
