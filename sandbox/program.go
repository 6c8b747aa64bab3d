// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zviz/run/sandbox/landlock"
	"github.com/zviz/run/sandbox/pid1"
)

// Program is what a start does, as data: descriptors that the runner prepares,
// and system calls that the child makes with them, in order. It needs no
// privilege to be compiled, printed or compared.
type Program struct {
	Arch    string
	Flags   uint64 // of clone3
	Handles []Handle
	Calls   []Call
	Command pid1.Command
	Layers  []LayerReport // what has been applied once the program reached its end
	Filter  []byte        // struct sock_filter[]; empty without seccomp
}

// HandleKind says how the runner makes a descriptor.
type HandleKind string

// The kinds of handles.
const (
	HandleTmpfs   HandleKind = "tmpfs"   // a detached tmpfs with Nodes in it
	HandleBind    HandleKind = "bind"    // a detached clone of Source
	HandleOverlay HandleKind = "overlay" // a detached overlay of Lower (handles) with Upper and Work
	HandleDevpts  HandleKind = "devpts"  // a detached devpts of its own
	HandleUserNS  HandleKind = "userns"  // the job's user namespace, mapped by IDs
	HandleNetNS   HandleKind = "netns"   // the network namespace at Source
	HandleRules   HandleKind = "landlock"
	HandlePID1    HandleKind = "pid1"    // the sealed file of process 1
	HandleCommand HandleKind = "command" // the file that a waiting process 1 is told its command by
	HandleGroup   HandleKind = "cgroup"  // what a thread joins its control group by (v1)
	HandleSync    HandleKind = "sync"    // pipe: the runner lets the child go on
	HandleReady   HandleKind = "ready"
	HandleControl HandleKind = "control"
	HandleStatus  HandleKind = "status"
	HandleStdin   HandleKind = "stdin"
	HandleStdout  HandleKind = "stdout"
	HandleStderr  HandleKind = "stderr"
	HandleSpare   HandleKind = "spare" // a number that nothing else uses
)

// Handle is a descriptor that the runner prepares.
type Handle struct {
	Kind   HandleKind
	Layer  Layer
	Name   string // what it is for, or where it goes
	Source string

	Flags     []string // of the mount: ro, nosuid, nodev, noexec
	Owner     *Owner   // bind: this owner's files are the job's; tmpfs, pid1: who owns the files
	Mapped    bool     // bind: an id on disk is the job's id of that number
	Held      bool     // bind: Source is a descriptor
	Size      string   // tmpfs
	Inodes    int      // tmpfs: files at most; 0 leaves it to the kernel
	Mode      uint32   // tmpfs: of its root
	Nodes     []Node   // tmpfs
	Lower     []int    // overlay: handles, uppermost first
	Sub       string   // overlay: directory below the first lower handle that is the layer
	Upper     string
	Work      string
	UserXattr bool // overlay: of a user, whose marks are extended attributes of the user's (overlayfs, "userxattr")
	IDs       IDMap
	Rules     []Rule
	Scoped    bool
}

// Node is a directory, file or link in a tmpfs of ours.
type Node struct {
	Path string // relative
	Kind string // "dir", "file", "link"
	Mode uint32
	Data []byte // of a file, or the target of a link
}

// Rule gives a right to a path below a handle.
type Rule struct {
	Handle int
	Path   string // below the handle; "." for its root
	Dir    bool
	Right  landlock.Right
}

// Call is one system call of the child.
type Call struct {
	Layer    Layer
	Name     string
	Args     []Arg
	Object   string // what it is about, for an error
	MayFail  bool
	ZeroEnds bool
}

// ArgKind says what an argument is.
type ArgKind uint8

// The kinds of arguments.
const (
	ArgInt    ArgKind = iota
	ArgText           // address of a null-terminated string
	ArgData           // address of bytes
	ArgHandle         // the descriptor of a handle
	ArgResult         // what an earlier call returned
	ArgFilter         // address of a struct sock_fprog for the program's filter
	ArgRule           // address of a struct landlock_path_beneath_attr for the handle in Int
	ArgVector         // address of an array of the address of Text and a null pointer
)

// Arg is an argument of a Call.
type Arg struct {
	Kind ArgKind
	Int  uint64 // ArgInt; index for ArgHandle and ArgResult
	Text string
	Data []byte
}

func num(v int64) Arg       { return Arg{Kind: ArgInt, Int: uint64(v)} }
func text(s string) Arg     { return Arg{Kind: ArgText, Text: s} }
func data(b []byte) Arg     { return Arg{Kind: ArgData, Data: b} }
func handle(i int) Arg      { return Arg{Kind: ArgHandle, Int: uint64(i)} }
func resultOf(i int) Arg    { return Arg{Kind: ArgResult, Int: uint64(i)} }
func (c Call) line() string { return c.Name + "(" + strings.Join(c.args(), ", ") + ")" }

func (c Call) args() []string {
	var out []string
	for _, a := range c.Args {
		switch a.Kind {
		case ArgText, ArgVector:
			out = append(out, strconv.Quote(a.Text))
		case ArgData:
			out = append(out, fmt.Sprintf("{%x}", a.Data))
		case ArgHandle:
			out = append(out, fmt.Sprintf("h%d", a.Int))
		case ArgResult:
			out = append(out, fmt.Sprintf("result of %d", a.Int))
		case ArgFilter:
			out = append(out, "filter")
		case ArgRule:
			out = append(out, "rule")
		default:
			if int64(a.Int) < 0 || a.Int < 4096 {
				out = append(out, strconv.FormatInt(int64(a.Int), 10))
			} else {
				out = append(out, fmt.Sprintf("%#x", a.Int))
			}
		}
	}
	return out
}

// String prints the program for people. The command's environment is left out:
// it may hold secrets.
func (p Program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "arch %s\nclone3 flags %#x\n\nprepared by the runner\n", p.Arch, p.Flags)
	for i, h := range p.Handles {
		fmt.Fprintf(&b, "  h%-3d %-8s %s", i, h.Kind, h.Name)
		if h.Source != "" && h.Source != h.Name {
			fmt.Fprintf(&b, " from %s", h.Source)
		}
		if len(h.Flags) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(h.Flags, ","))
		}
		if h.Owner != nil {
			fmt.Fprintf(&b, " owner %d:%d", h.Owner.UID, h.Owner.GID)
		}
		b.WriteByte('\n')
		for _, r := range h.Rules {
			fmt.Fprintf(&b, "         %s on h%d/%s\n", r.Right, r.Handle, r.Path)
		}
	}
	fmt.Fprintf(&b, "\ncalls of the child (filter of %d instructions)\n", len(p.Filter)/8)
	for i, c := range p.Calls {
		fmt.Fprintf(&b, "  %-3d %-13s %s", i, c.Layer, c.line())
		if c.MayFail {
			b.WriteString("  # may fail")
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\nprocess 1 then starts %q\n", p.Command.Args)
	return b.String()
}
