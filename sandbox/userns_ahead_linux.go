// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"sync"

	"golang.org/x/sys/unix"
)

// userNamespaces makes the user namespaces of one sandbox beside its other
// preparations: each costs as much as a process.
type userNamespaces struct {
	job    *pending
	owners map[Owner]*pending
}

// pending is a descriptor that somebody makes.
type pending struct {
	once sync.Once
	get  func() (int, error)
}

func begin(f func() (int, error)) *pending {
	p := &pending{get: sync.OnceValues(f)}
	go func() { _, _ = p.get() }()
	return p
}

// close closes what was made; the second time nothing.
func (p *pending) close() {
	p.once.Do(func() {
		if fd, err := p.get(); err == nil {
			_ = unix.Close(fd)
		}
	})
}

// beginUserNamespaces starts on those that the spec needs: the job's, and one for
// each owner of files who is not the job's user.
func beginUserNamespaces(spec Spec) *userNamespaces {
	u := &userNamespaces{owners: map[Owner]*pending{}}
	u.job = begin(func() (int, error) { return jobUserNS(spec.IDs) })
	for _, m := range spec.Mounts {
		if o := m.Owner; o != nil && *o != spec.IDs.Owner() && u.owners[*o] == nil {
			u.owners[*o] = begin(func() (int, error) { return ownerUserNS(*o, spec.IDs) })
		}
	}
	return u
}

// mapper is the namespace that a mount is mapped by; nil if by none.
func (u *userNamespaces) mapper(h Handle) *pending {
	switch {
	case h.Mapped:
		return u.job
	case h.Owner != nil && *h.Owner != h.IDs.Owner():
		return u.owners[*h.Owner]
	default:
		return nil
	}
}

func (u *userNamespaces) close() {
	u.job.close()
	for _, p := range u.owners {
		p.close()
	}
}
