// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/internal/canary"
	"github.com/zviz/run/sandbox"
)

// CanaryError says that a credential turned up that was planted in the job's home and
// that no build has a reason to read.
type CanaryError struct {
	Credential string // "npm token of ~/.npmrc"
	Where      string // "its output", "a request to evil.test"
	By         string // the process, as far as it is known
}

func (e *CanaryError) Error() string {
	s := "the planted " + e.Credential + " turned up in " + e.Where
	if e.By != "" {
		s += " (" + e.By + ")"
	}
	return s
}

// Why says what that means.
func (e *CanaryError) Why() string {
	return "it opens nothing and no build reads it: something goes through credential files"
}

// Hint says what to do.
func (e *CanaryError) Hint() string {
	return "look at what ran there; if it has to print or send such files: --no-canaries, or canaries: false in the policy file"
}

// Code is the stable name of the error.
func (e *CanaryError) Code() string { return "canary.found" }

// canaryOf describes an event in which a planted credential was.
func canaryOf(e egress.Event) *CanaryError {
	host := e.Host
	if host == "" {
		host = e.Dst
	}
	c := &CanaryError{Credential: e.Canary, Where: "a request to " + host}
	if e.Door == egress.DoorDNS {
		c.Where = "a question for the name " + host
	}
	if e.PID != 0 {
		c.By = fmt.Sprintf("%s, pid %d", path.Base(e.Exe), e.PID)
		if e.Pkg != "" {
			c.By += fmt.Sprintf(", %s %s of %s", e.PkgBy, e.Script, e.Pkg)
		}
	}
	return c
}

// canaries are the credentials of one cell. They are made when first needed, and so is
// what finds them: neither is on the way of a start.
type canaries struct {
	set    func() canary.Set
	finder func() *canary.Finder
	plants sync.WaitGroup
	over   chan struct{} // closed by end
	once   sync.Once
}

// plantAfter is when the credentials are planted: they cost a start some milliseconds
// of disk, and what ends before has read nothing.
const plantAfter = 10 * time.Millisecond

func newCanaries() *canaries {
	c := &canaries{set: sync.OnceValue(canary.New), over: make(chan struct{})}
	c.finder = sync.OnceValue(func() *canary.Finder { return canary.NewFinder(c.set().Credentials) })
	return c
}

// find is what package egress asks for; nil if nothing is planted.
func (c *canaries) find() func() *canary.Finder {
	if c == nil {
		return nil
	}
	return c.finder
}

// plant puts the credentials into a home that a job owns, and perhaps is using already:
// nothing of its is replaced and no link is followed out of there.
func (c *canaries) plant(home string, owner sandbox.Owner) (err error) {
	root, err := os.OpenRoot(home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for name, data := range c.set().Files {
		if err := plantFile(root, name, data, owner); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func plantFile(root *os.Root, name string, data []byte, owner sandbox.Owner) error {
	for dir := range parents(name) {
		err := root.Mkdir(dir, 0o700)
		if err == nil {
			err = root.Lchown(dir, int(owner.UID), int(owner.GID))
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chown(int(owner.UID), int(owner.GID)), f.Close())
}

// parents yields the directories above a path, the outermost first.
func parents(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(name) {
			if name[i] == '/' && !yield(name[:i]) {
				return
			}
		}
	}
}

// end plants nothing any more and waits for what is being planted.
func (c *canaries) end() {
	if c == nil {
		return
	}
	c.once.Do(func() { close(c.over) })
	c.plants.Wait()
}

// plantIn plants in the home of a cell, beside what goes on.
func (c *cell) plantIn(log func(error)) {
	if c.canaries == nil {
		return
	}
	home, owner := filepath.Join(c.job.Dir, "home"), c.spec.IDs.Owner()
	c.canaries.plants.Go(func() {
		timer := time.NewTimer(plantAfter)
		defer timer.Stop()
		select {
		case <-c.canaries.over:
			return
		case <-timer.C:
		}
		if err := c.canaries.plant(home, owner); err != nil {
			log(err)
		}
	})
}

// listen finds planted credentials in what a command prints.
func (c *cell) listen(w io.Writer) io.Writer {
	if c.canaries == nil || w == nil {
		return w
	}
	return &canaryWriter{w: w, of: c}
}

type canaryWriter struct {
	w    io.Writer
	of   *cell
	scan *canary.Scanner
	mu   sync.Mutex
}

// Write passes everything on: what is planted is worth nothing.
func (w *canaryWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	if w.scan == nil {
		w.scan = w.of.canaries.finder().Scanner()
	}
	name := w.scan.Scan(p)
	w.mu.Unlock()
	if name != "" {
		w.of.denials.found(&CanaryError{Credential: name, Where: "its output"})
	}
	return w.w.Write(p)
}
