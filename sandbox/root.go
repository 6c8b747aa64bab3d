// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/binary"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Directories of a sandbox in Spec.StateDir. New makes them; the job owns home
// and tmp.
const (
	stateHome  = "home"
	stateTmp   = "tmp"
	stateUpper = "upper"
	stateWork  = "work"

	stateRoot     = "root" // upper directory of a writable root
	stateRootWork = "root-work"
)

// shared is where home and /tmp lie.
func (s Spec) shared() string {
	if s.Shared != "" {
		return s.Shared
	}
	return s.StateDir
}

// hidden is an empty file of the root that covers what is hidden.
const hidden = "run/.hidden"

// root lays out the new root: a small tmpfs of ours that holds nothing but mount
// points, links and synthesized files, so that no path is ever resolved below a
// tree that somebody else controls. It is read-only when it reaches the child.
func (c *compiler) root() {
	if !c.offered(LayerRootfs) {
		return
	}
	nodes := newNodes()
	for _, d := range []string{"proc", "sys", "dev/pts", "dev/shm", "tmp", "var", "run", "usr"} {
		nodes.dir(d)
	}
	inVarTmp := func(target string) bool { return strings.HasPrefix(target, "/var/tmp/") }
	if slices.ContainsFunc(c.spec.Mounts, func(m Mount) bool { return inVarTmp(m.Target) }) ||
		slices.ContainsFunc(c.spec.Root.Entries, func(e Entry) bool { return inVarTmp(e.Target) }) {
		nodes.dir("var/tmp")
	} else {
		nodes.link("var/tmp", "/tmp")
	}
	nodes.link("dev/ptmx", "pts/ptmx")
	nodes.link("dev/fd", "/proc/self/fd")
	nodes.link("dev/stdin", "/proc/self/fd/0")
	nodes.link("dev/stdout", "/proc/self/fd/1")
	nodes.link("dev/stderr", "/proc/self/fd/2")

	if own := c.spec.Root.Own; own != "" {
		nodes.dir(strings.TrimPrefix(own, "/"))
	}
	root := c.handle(Handle{Kind: HandleTmpfs, Layer: LayerRootfs, Name: "/", Flags: []string{"ro", "nosuid", "nodev"}, Size: "16m", Inodes: 16384, Mode: 0o755})
	top := root
	switch {
	case c.spec.Root.Shared != "":
		top = c.sharedRoot()
	case c.spec.Root.Overlay:
		top = c.overlayRoot(root)
	}
	if c.spec.Root.Overlay {
		c.mounts = append(c.mounts, placed{target: "/", handle: top, write: true, dir: true})
		c.place("/sys", Handle{Kind: HandleTmpfs, Layer: LayerRootfs, Name: "/sys", Flags: []string{"ro", "nosuid", "nodev", "noexec"}, Size: "4k", Mode: 0o555}, false, true)
		if c.spec.Root.Shared != "" {
			c.ownDirs()
		}
	} else {
		c.mounts = append(c.mounts, placed{target: "/", handle: root, dir: true})
	}

	for _, p := range sortedKeys(c.spec.Files) {
		f := c.spec.Files[p]
		mode := f.Mode
		if mode == 0 {
			mode = 0o444
		}
		nodes.file(strings.TrimPrefix(p, "/"), mode, f.Data)
	}
	c.entries(root, nodes)
	if len(c.spec.Hide) > 0 {
		nodes.file(hidden, 0o444, nil)
	}
	for _, n := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		nodes.file("dev/"+n, 0, nil)
		c.bind("/dev/"+n, "/dev/"+n, []string{"nosuid", "noexec"}, nil, true, false)
	}
	c.tmpfs("/dev/shm", c.sharedMemory(), 0o1777)
	c.place("/dev/pts", Handle{Kind: HandleDevpts, Layer: LayerRootfs, Name: "/dev/pts", Flags: []string{"nosuid", "noexec"}}, false, true)
	c.bind(path.Join(c.spec.shared(), stateTmp), "/tmp", []string{"nosuid", "nodev"}, nil, true, true)
	if c.spec.Home != "" {
		nodes.dir(strings.TrimPrefix(c.spec.Home, "/"))
		c.bind(path.Join(c.spec.shared(), stateHome), c.spec.Home, []string{"nosuid", "nodev"}, nil, true, true)
	}
	c.workspaces(nodes)
	// Parents before children, else a mount would be covered by a later one.
	slices.SortStableFunc(c.mounts[1:], func(a, b placed) int { return strings.Count(a.target, "/") - strings.Count(b.target, "/") })
	c.p.Handles[root].Nodes = nodes.list
	if c.spec.Root.Shared != "" {
		c.divide(root, nodes.list)
	}

	c.assemble(top)
	detail := string(c.spec.Root.Kind)
	if c.spec.Root.Path != "" {
		detail += " " + c.spec.Root.Path
	}
	if c.spec.Root.Overlay {
		detail += ", writes are thrown away"
	}
	c.applied(LayerRootfs, Applied, detail)
}

// overlayRoot stacks the folder below our own root, and a directory that is thrown
// away above both. What is in our root hides what the folder has of that name: a
// mount point is never a link of the folder's.
func (c *compiler) overlayRoot(own int) int {
	owner := c.spec.IDs.root()
	c.p.Handles[own].Owner = &owner
	folder := c.handle(Handle{
		Kind: HandleBind, Layer: LayerRootfs, Name: "the folder", Source: c.spec.Root.Path, Flags: []string{"ro", "nosuid", "nodev"},
		Mapped: c.probe.User == nil, // a user's ids are the namespace's that it is in
	})
	return c.handle(Handle{
		Kind: HandleOverlay, Layer: LayerRootfs, Name: "/", Flags: []string{"nosuid", "nodev"}, Lower: []int{own, folder},
		Upper: path.Join(c.spec.StateDir, stateRoot), Work: path.Join(c.spec.StateDir, stateRootWork), UserXattr: c.probe.User != nil,
	})
}

// sharedRoot is the overlay that other sandboxes have too.
func (c *compiler) sharedRoot() int {
	return c.handle(Handle{Kind: HandleBind, Layer: LayerRootfs, Name: "/", Source: c.spec.Root.Shared, Flags: []string{"nosuid", "nodev"}, Held: true})
}

// ownDirs are the directories of a shared root that are this sandbox's own. What jobs did
// to the rest is not known, and the child mounts by the names of these: /proc, /sys and
// /tmp are mounts in / itself, which nobody can rename; /dev is none, and mounts of this
// sandbox alone need points that are there.
func (c *compiler) ownDirs() {
	owner := c.spec.IDs.root()
	for _, dir := range []string{"/dev", c.spec.Root.Own} {
		c.place(dir, Handle{Kind: HandleTmpfs, Layer: LayerRootfs, Name: dir, Flags: []string{"ro", "nosuid", "nodev"}, Size: "64k", Inodes: 1024, Mode: 0o755, Owner: &owner}, false, true)
	}
}

// divide gives the nodes of a root to the two directories of a shared one that are this
// sandbox's own. The rest is there.
func (c *compiler) divide(root int, list []Node) {
	for i := range c.p.Handles {
		h := &c.p.Handles[i]
		if i == root || h.Kind != HandleTmpfs || h.Name != "/dev" && h.Name != c.spec.Root.Own {
			continue
		}
		for _, n := range list {
			if rel, ok := strings.CutPrefix("/"+n.Path, h.Name+"/"); ok {
				n.Path = rel
				h.Nodes = append(h.Nodes, n)
			}
		}
	}
	c.p.Handles[root] = Handle{Kind: HandleSpare, Name: "spare"}
}

// entries shows the parts of the host or of a folder.
func (c *compiler) entries(root int, nodes *nodes) {
	if c.spec.Root.Overlay {
		return // the overlay shows them
	}
	for _, e := range c.spec.Root.Entries {
		rel := strings.TrimPrefix(e.Target, "/")
		switch {
		case c.holdsHome(e):
			nodes.dir(rel) // the job's home is all that is in there
			continue
		case e.Data != nil:
			nodes.file(rel, 0o444, e.Data)
			continue
		case e.Source == "":
			nodes.link(rel, e.Link)
			continue
		case c.spec.Root.Kind == RootFolder && e.Target == "/etc":
			// Our own files over the folder's, as two layers of a read-only overlay.
			nodes.dir("etc")
			low := c.handle(Handle{Kind: HandleBind, Layer: LayerRootfs, Name: "/etc of the folder", Source: e.Source, Flags: []string{"ro", "nosuid", "nodev"}})
			c.place("/etc", Handle{Kind: HandleOverlay, Layer: LayerRootfs, Name: "/etc", Flags: []string{"ro", "nosuid", "nodev"}, Lower: []int{root, low}, Sub: "etc"}, false, true)
			continue
		case e.Dir:
			nodes.dir(rel)
		default:
			nodes.file(rel, 0, nil)
		}
		c.bind(e.Source, e.Target, []string{"ro", "nosuid", "nodev", "recursive"}, nil, false, e.Dir)
	}
}

// workspaces shows what the user gave to the job.
func (c *compiler) workspaces(nodes *nodes) {
	for _, m := range c.spec.Mounts {
		rel := strings.TrimPrefix(m.Target, "/")
		if !c.bound(m.Target) && !m.Held {
			if m.File {
				nodes.file(rel, 0, nil)
			} else {
				nodes.dir(rel)
			}
		}
		flags := []string{"nosuid", "nodev"}
		if !m.Write {
			flags = append(flags, "ro")
		}
		switch {
		case m.Held:
			c.place(m.Target, Handle{Kind: HandleBind, Layer: LayerMount, Name: m.Target, Source: m.Source, Flags: flags, Held: true}, true, true)
		case !m.Overlay:
			c.bind(m.Source, m.Target, flags, m.Owner, m.Write, !m.File)
		default:
			low := c.handle(Handle{Kind: HandleBind, Layer: LayerMount, Name: m.Target + ", below the overlay", Source: m.Source, Flags: []string{"nosuid", "nodev"}, Owner: m.Owner, IDs: c.spec.IDs})
			c.place(m.Target, Handle{
				Kind: HandleOverlay, Layer: LayerMount, Name: m.Target, Flags: []string{"nosuid", "nodev"}, Lower: []int{low},
				Upper: path.Join(c.spec.StateDir, stateUpper), Work: path.Join(c.spec.StateDir, stateWork), UserXattr: c.probe.User != nil,
			}, true, true)
		}
		for _, p := range m.ReadOnly {
			rel := strings.TrimPrefix(p, m.Target)
			// A directory or a file: the mount point is there, since it is the source.
			c.bind(m.Source+rel, p, []string{"nosuid", "nodev", "ro"}, m.Owner, false, true)
		}
	}
}

// holdsHome reports whether the job's home lies in a directory of the root, which
// cannot be shown then: nothing can be made in it.
func (c *compiler) holdsHome(e Entry) bool {
	return e.Dir && strings.HasPrefix(c.spec.Home, e.Target+"/")
}

// bound reports whether a path lies below something that the root shows, so that
// the mount point must be there already.
func (c *compiler) bound(target string) bool {
	return !c.spec.Root.Overlay && slices.ContainsFunc(c.spec.Root.Entries, func(e Entry) bool {
		return e.Source != "" && !c.holdsHome(e) && strings.HasPrefix(target, e.Target+"/")
	})
}

func (c *compiler) bind(source, target string, flags []string, owner *Owner, write, dir bool) {
	c.place(target, Handle{Kind: HandleBind, Layer: LayerRootfs, Name: target, Source: source, Flags: flags, Owner: owner, IDs: c.spec.IDs}, write, dir)
}

func (c *compiler) tmpfs(target, size string, mode uint32) {
	c.place(target, Handle{Kind: HandleTmpfs, Layer: LayerRootfs, Name: target, Flags: []string{"nosuid", "nodev"}, Size: size, Inodes: sharedMemoryFiles, Mode: mode}, true, true)
}

// sharedMemoryFiles bounds the files of /dev/shm. The kernel's default is a
// quarter of a million for each GiB of the machine, and each takes about 1 KiB
// that cannot be paged out (tmpfs(5), nr_inodes).
const sharedMemoryFiles = 65536

// sharedMemory is the size of /dev/shm: half of what the job may take, since what
// lies there counts as its memory but is not freed when it is killed for memory.
// Without a limit it is half of the machine, as anywhere.
func (c *compiler) sharedMemory() string {
	if n := c.spec.Limits.MemoryBytes; n > 0 {
		return strconv.FormatInt(n/2, 10)
	}
	return "50%"
}

func (c *compiler) place(target string, h Handle, write, dir bool) {
	c.mounts = append(c.mounts, placed{target, c.handle(h), write, dir, h.Held})
}

// assemble is the child's part: it runs with the host's root in a mount
// namespace of its own, before it enters the user namespace.
func (c *compiler) assemble(root int) {
	l := LayerRootfs
	// Only the child's mount namespace has anything there; what it covers is open already.
	base := c.spec.StateDir
	c.call(LayerMount, "/", "mount", num(0), text("/"), num(0), num(msRec|msPrivate), num(0))
	c.call(l, "/", "move_mount", handle(root), text(""), num(atFDCWD), text(base), num(moveMountFEmptyPath))
	c.call(l, base, "chdir", text(base))
	for _, m := range c.mounts[1:] {
		point := c.call(l, m.target, "openat2", num(atFDCWD), text(strings.TrimPrefix(m.target, "/")), data(mountPoint()), num(openHowSize))
		if m.held {
			c.mayFail()
		}
		c.call(l, m.target, "move_mount", handle(m.handle), text(""), resultOf(point), text(""), num(moveMountFEmptyPath|moveMountTEmptyPath))
		if m.held {
			c.mayFail()
		}
	}
	for _, h := range c.spec.Hide {
		c.call(l, h, "mount", text(hidden), text("."+h), num(0), num(msBind), num(0))
	}
	for _, target := range sortedKeys(c.spec.Cover) {
		c.call(l, target, "mount", text(strings.TrimPrefix(c.spec.Cover[target], "/")), text("."+target), num(0), num(msBind), num(0))
	}
	opts := num(0)
	if c.spec.MinimalProc {
		opts = text("subset=pid")
	}
	c.call(l, "/proc", "mount", text("proc"), text("proc"), text("proc"), num(msNosuid|msNodev|msNoexec), opts)
	if !c.spec.MinimalProc {
		for _, m := range c.probe.ProcMasks {
			source := "dev/null"
			if m.Dir {
				source = "sys" // an empty directory of the read-only root
			}
			c.call(l, "/proc/"+m.Path, "mount", text(source), text("proc/"+m.Path), num(0), num(msBind), num(0))
		}
		c.call(l, "/proc/sys", "mount", text("proc/sys"), text("proc/sys"), num(0), num(msBind), num(0))
		c.call(l, "/proc/sys", "mount", num(0), text("proc/sys"), num(0), num(msBind|msRemount|msRdonly|msNosuid|msNodev|msNoexec), num(0))
	}
	if c.spec.Hostname != "" && c.p.Flags&cloneNewUTS != 0 {
		c.call(LayerUTS, c.spec.Hostname, "sethostname", text(c.spec.Hostname), num(int64(len(c.spec.Hostname))))
	}
	c.call(l, ".", "pivot_root", text("."), text("."))
	c.call(l, "old root", "umount2", text("."), num(mntDetach))
	c.call(l, "/", "chdir", text("/"))
}

// mountPoint is how a mount point is opened. It may lie in a tree that a job or an
// image made, and the host's root is still there for a link to lead to.
func mountPoint() []byte {
	how := make([]byte, 0, openHowSize) // struct open_how of openat2(2): flags, mode, resolve
	for _, v := range []uint64{oPath | oCloexec, 0, resolveNoMagiclinks | resolveNoSymlinks | resolveBeneath} {
		how = binary.NativeEndian.AppendUint64(how, v)
	}
	return how
}

// nodes collects what is in a tmpfs, each parent once and before its children.
type nodes struct {
	list []Node
	seen map[string]bool
}

func newNodes() *nodes { return &nodes{seen: map[string]bool{".": true}} }

func (n *nodes) add(node Node) {
	if n.seen[node.Path] {
		return
	}
	n.dir(path.Dir(node.Path))
	n.seen[node.Path] = true
	n.list = append(n.list, node)
}

func (n *nodes) dir(p string) {
	if !n.seen[p] {
		n.add(Node{Path: p, Kind: "dir", Mode: 0o755})
	}
}

func (n *nodes) file(p string, mode uint32, data []byte) {
	n.add(Node{Path: p, Kind: "file", Mode: mode, Data: data})
}

func (n *nodes) link(p, target string) { n.add(Node{Path: p, Kind: "link", Data: []byte(target)}) }
