// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
)

// SharedRoot is a writable root of a job, ready for any number of sandboxes: what one of
// them writes the others see. It wants copies of mounts that nobody has mounted yet
// (Linux 6.15). Close lets go of it; sandboxes that have it keep it.
type SharedRoot struct {
	fd   int
	root Root
}

// NewSharedRoot makes the root of a spec with Root.Overlay and Root.Own, whose files and
// mounts are those of all sandboxes of the job. What is written goes to directories that
// it makes in spec.StateDir.
func NewSharedRoot(spec Spec, probe Probe) (*SharedRoot, error) {
	prog, err := compileWaiting(spec, probe)
	if err != nil {
		return nil, err
	}
	top := -1
	for i, h := range prog.Handles {
		if h.Kind == HandleOverlay && h.Name == "/" {
			top = i
		}
	}
	if top < 0 {
		return nil, errors.New("bug: the root is no overlay")
	}
	handles := make([]Handle, top+1) // of no kind but these three: nothing is made of the rest
	for _, i := range append([]int{top}, prog.Handles[top].Lower...) {
		handles[i] = prog.Handles[i]
	}
	if err := makeRootDirs(spec); err != nil {
		return nil, err
	}
	users := &userNamespaces{job: begin(func() (int, error) { return jobUserNS(spec.IDs) })}
	defer users.close()
	p, err := prepare(Program{Handles: handles}, users)
	if err != nil {
		return nil, err
	}
	defer p.close()
	fd, err := linux.HighFD(p.fds[top])
	p.fds[top] = -1
	if err != nil {
		return nil, &LayerError{Layer: LayerRootfs, Stage: "overlay", Path: "/", Err: err}
	}
	if err := copies(fd); err != nil {
		return nil, errors.Join(&LayerError{Layer: LayerRootfs, Stage: "overlay", Path: "/", Err: err, Fix: "a root file system that steps can write to needs Linux 6.15"}, unix.Close(fd))
	}
	s := &SharedRoot{fd: fd, root: spec.Root}
	s.root.Shared = "/proc/self/fd/" + strconv.Itoa(fd)
	return s, nil
}

// Root is what a sandbox takes as its root.
func (s *SharedRoot) Root() Root { return s.root }

// Stat describes a file of the root as it is now, by its path inside: links are the
// job's, and lead nowhere else. What is mounted into the root is not seen.
func (s *SharedRoot) Stat(name string) (fs.FileInfo, error) { return statInside(s.fd, name) }

// Close lets go of it.
func (s *SharedRoot) Close() error { return unix.Close(s.fd) }

// StatInside describes a file of a folder whose links mean what they do for a process
// that has the folder as its root.
func StatInside(folder, name string) (fs.FileInfo, error) {
	fd, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: folder, Err: err}
	}
	defer closeAll(fd)
	return statInside(fd, name)
}

func statInside(root int, name string) (fs.FileInfo, error) {
	fd, err := unix.Openat2(root, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	st, err := f.Stat()
	return st, errors.Join(err, f.Close())
}
