// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"io"
	"time"

	"github.com/zviz/run/sandbox/landlock"
	"github.com/zviz/run/sandbox/seccomp"
)

// Spec says what a sandbox is. It is plain data: it holds no descriptor and no
// handle, and never changes after it is handed on.
type Spec struct {
	ID       string // names the cgroup and the state folder; [a-z0-9-], at most 32 bytes
	Hostname string // at most 64 bytes (sethostname(2))
	StateDir string // a directory of the sandbox's own, 0700, on a disk: home, /tmp and overlay uppers live there
	Shared   string // a directory like it of which home and /tmp are shown instead, made by MakeShared: the job's, for its steps
	Cgroup   string // a control group below the runner's that the sandbox's is made in; it has the limits of the job, and the sandbox's own has none
	Home     string // the job's home directory inside, absolute

	// NetNS is the path of the network namespace to join ("/proc/self/fd/N" or a
	// bind mount). Empty means a fresh namespace with nothing but its loopback.
	NetNS string
	// HostNetwork lets a job be in the host's network where the machine has no
	// network namespaces. LayerNet in AllowMissing alone does not: a fresh namespace
	// was asked for.
	HostNetwork bool

	Root    Root
	Mounts  []Mount
	Hide    []string          // files below Root's entries that are shown empty: absolute, there
	Cover   map[string]string // the same, that are shown as one of Files instead
	Files   map[string]File   // synthesized files of the root by absolute path: /etc/passwd, /etc/resolv.conf
	IDs     IDMap
	Profile seccomp.Profile
	Access  landlock.Access // rights beyond reading, by path inside; the sandbox adds those of its own mounts
	Limits  Limits

	// MinimalProc mounts /proc with subset=pid: no cpuinfo, meminfo or /proc/sys.
	MinimalProc bool

	AllowMissing []Layer
}

// File is a synthesized file of the root.
type File struct {
	Data []byte
	Mode uint32 // permission bits; 0 means 0444
}

// RootKind says where the root file system comes from.
type RootKind string

// The kinds of root. An OCI image joins them later as a folder of layers.
const (
	RootHost   RootKind = "host"   // the host's tools, read-only, through an allowlist
	RootFolder RootKind = "folder" // a directory that holds a root file system, read-only
)

// Root is the root file system of a sandbox, as HostRoot and FolderRoot survey
// it.
type Root struct {
	Kind    RootKind
	Path    string // of a folder
	Entries []Entry
	// Overlay makes the whole folder writable: what is written goes to a directory
	// that is thrown away. Ids on disk are the job's own ids of the same number.
	Overlay bool
	// Shared is the descriptor of an overlay that the caller keeps open
	// ("/proc/self/fd/N"), as SharedRoot.Root returns it: all sandboxes that have it write
	// to one place. Own is then the directory that every mount lies in which SharedRoot was
	// not told of; what is in there is the sandbox's own.
	Shared, Own string
}

// Entry is a directory, file or link that the root shows read-only.
type Entry struct {
	Target string // absolute, clean
	Source string // on the host; empty for a link
	Link   string // what a link says
	Dir    bool
	Data   []byte // of a small file that is copied; Source is then empty too
}

// Mount shows a directory or file of the host inside.
type Mount struct {
	Source string // absolute, not a symlink
	Target string // absolute, clean
	Write  bool
	File   bool // Source is a file, not a directory
	// Owner maps the source's files of this host uid and gid to the job's user, so
	// that files written inside belong to it on disk. Used with Write only.
	Owner *Owner
	// Overlay makes writes go to a directory that is thrown away. Used with Write only.
	Overlay bool
	// Held says that Source is the descriptor of a mount that the caller keeps open
	// ("/proc/self/fd/N"), as Layered.Mount returns it. A sandbox in which Target is no
	// directory starts without it.
	Held bool
	// ReadOnly lists paths below Target that stay read-only although Write is set.
	ReadOnly []string
}

// Owner is a user and group of the host.
type Owner struct{ UID, GID uint32 }

// Limits bound what a job can take. Zero means no limit of ours.
type Limits struct {
	MemoryBytes int64         // at least 16 MiB; swap is not given on top
	CPUs        float64       // 1.5 means one and a half processors
	Pids        int           // processes and threads
	OpenFiles   int           // soft RLIMIT_NOFILE; the hard limit is 1,048,576 or the runner's own
	Wall        time.Duration // from start to end of the command
}

// Cmd is one command. Its streams never reach it as they are: the sandbox puts
// pipes or a terminal of its own in between.
type Cmd struct {
	Args []string // Args[0] is looked up in PATH of Env, inside the sandbox
	Env  []string // KEY=VALUE, complete: nothing is inherited
	Dir  string   // absolute, inside

	Stdin  io.Reader // nil means /dev/null
	Stdout io.Writer // nil discards
	Stderr io.Writer // nil discards; may be the same as Stdout

	TTY TTY

	// Stay lets what the command started in the background live until Close, as the
	// steps of a job do. Wait returns with the command all the same.
	Stay bool

	// Grace is the time between SIGTERM and the end of everything when the
	// context ends or Limits.Wall runs out.
	Grace time.Duration
}

// TTY says which of the three streams are a terminal for the command.
type TTY struct {
	Stdin, Stdout, Stderr bool
	Rows, Cols            uint16
}

// Any reports whether a terminal is needed at all.
func (t TTY) Any() bool { return t.Stdin || t.Stdout || t.Stderr }
