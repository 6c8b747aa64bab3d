// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/zviz/run/cache/store"
)

// The reasons of a refusal, as events name them.
const (
	ReasonAge       = "min-release-age"
	ReasonLockfile  = "not-in-lockfile"
	ReasonBlocked   = "blocked"
	ReasonIntegrity = "integrity"
	ReasonOffline   = "offline"
	ReasonUnknown   = "not-a-package" // a request that the rules cannot judge
)

// Rules say which versions a job may see. They are plain data; the zero Rules
// hide nothing.
type Rules struct {
	MinReleaseAge time.Duration // younger versions are hidden
	Exclude       []string      // names that MinReleaseAge is not for; '*' is any text
	Block         []Blocked     // hidden whatever else says
	Lock          *Lock         // nil: any version; else only these
}

// Strict reports whether the rules hide anything, so that what cannot be judged
// must be refused.
func (r Rules) Strict() bool { return r.MinReleaseAge > 0 || r.Lock != nil || len(r.Block) > 0 }

// Aged reports whether the age of a package's versions matters.
func (r Rules) Aged(e Ecosystem, name string) bool {
	return r.MinReleaseAge > 0 && !slices.ContainsFunc(r.Exclude, func(p string) bool { return glob(e.sameName(p), e.sameName(name)) })
}

// Unsupported says, for people, which rules an ecosystem cannot keep, because its
// metadata lacks what they need; empty if it can keep all.
func (r Rules) Unsupported(e Ecosystem) string {
	switch {
	case r.MinReleaseAge <= 0:
		return ""
	case e == Cargo:
		return "Cargo's index has no time of publication for most versions: min_release_age hides those that have one, and no other"
	case e == Debian:
		return "Debian's lists have no time of publication: min_release_age does nothing there"
	case e == Go:
		return "Go's proxies tell the time of a commit, which its author chooses: min_release_age is no protection against an author who lies"
	default:
		return ""
	}
}

// Decision is what the rules say of one version.
type Decision struct {
	Reason string // empty: allowed
	Detail string // for people
}

// Allowed reports whether nothing is against it.
func (d Decision) Allowed() bool { return d.Reason == "" }

// Judge decides about one version. A time that is not known is too young, but
// for the ecosystems that do not have one (see Unsupported).
func (r Rules) Judge(now time.Time, e Ecosystem, name string, v Version) Decision {
	for _, b := range r.Block {
		if b.Match(e, name, v.Version) {
			return Decision{ReasonBlocked, fmt.Sprintf("%s@%s is on the block list (%s)", name, v.Version, b)}
		}
	}
	if r.Lock != nil && !r.Lock.Has(e, name, v.Version) {
		return Decision{ReasonLockfile, fmt.Sprintf("%s@%s is not in the lockfile", name, v.Version)}
	}
	if !r.Aged(e, name) || e == Debian || e == Cargo && v.Published.IsZero() {
		return Decision{}
	}
	if v.Published.IsZero() {
		return Decision{ReasonAge, fmt.Sprintf("the registry does not say when %s@%s was published, and min_release_age is %s", name, v.Version, Days(r.MinReleaseAge))}
	}
	if age := now.Sub(v.Published); age < r.MinReleaseAge {
		return Decision{ReasonAge, fmt.Sprintf("%s@%s was published %s ago, min_release_age is %s", name, v.Version, Days(max(age, 0)), Days(r.MinReleaseAge))}
	}
	return Decision{}
}

// JudgeName decides about a package before anything is known of its versions.
func (r Rules) JudgeName(e Ecosystem, name string) Decision {
	if r.Lock != nil && !r.Lock.HasName(e, name) {
		return Decision{ReasonLockfile, name + " is not in the lockfile"}
	}
	return Decision{}
}

// Hide returns the versions of a package that the rules hide, with the reason.
func (r Rules) Hide(now time.Time, p Package, name string) map[string]string {
	hide := map[string]string{}
	for _, v := range p.Versions {
		if d := r.Judge(now, p.Ecosystem, name, v); !d.Allowed() {
			hide[v.Version] = d.Reason
		}
	}
	return hide
}

// Days prints a duration as people say it.
func Days(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	default:
		return d.Round(time.Second).String()
	}
}

// Lock is the set of packages that lockfiles name.
type Lock struct {
	names    map[pkg]bool
	versions map[pkg][]store.Digest
}

type pkg struct {
	ecosystem     Ecosystem
	name, version string
}

// Locked is one package of a lockfile. A digest is what the lockfile says; it is
// compared with what comes, and never makes anything trusted.
type Locked struct {
	Ecosystem Ecosystem
	Name      string
	Version   string // empty: any version
	Digests   []store.Digest
	Resolved  bool // the lockfile says where it is from too; of npm's only
}

// NewLock makes a set.
func NewLock(packages ...Locked) *Lock {
	l := &Lock{names: map[pkg]bool{}, versions: map[pkg][]store.Digest{}}
	for _, p := range packages {
		key := l.key(p.Ecosystem, p.Name, p.Version)
		l.names[pkg{p.Ecosystem, key.name, ""}] = true
		for _, d := range p.Digests {
			if !slices.Contains(l.versions[key], d) {
				l.versions[key] = append(l.versions[key], d)
			}
		}
		if l.versions[key] == nil {
			l.versions[key] = []store.Digest{}
		}
	}
	return l
}

func (l *Lock) key(e Ecosystem, name, version string) pkg {
	return pkg{e, e.sameName(name), e.sameVersion(version)}
}

// Has reports whether a version is named.
func (l *Lock) Has(e Ecosystem, name, version string) bool {
	key := l.key(e, name, version)
	_, ok := l.versions[key]
	if !ok {
		_, ok = l.versions[pkg{e, key.name, ""}]
	}
	return ok
}

// HasName reports whether any version is named.
func (l *Lock) HasName(e Ecosystem, name string) bool {
	return l.names[pkg{e, l.key(e, name, "").name, ""}]
}

// Digests returns what the lockfiles say of a version.
func (l *Lock) Digests(e Ecosystem, name, version string) []store.Digest {
	return slices.Clone(l.versions[l.key(e, name, version)])
}

// Len counts the versions.
func (l *Lock) Len() int { return len(l.versions) }

// Names returns the names of an ecosystem, sorted.
func (l *Lock) Names(e Ecosystem) []string {
	var all []string
	for k := range maps.Keys(l.names) {
		if k.ecosystem == e {
			all = append(all, k.name)
		}
	}
	slices.Sort(all)
	return all
}
