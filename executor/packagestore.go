// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zviz/run/cache/packages"
	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
	"github.com/zviz/run/egress"
)

// packageStore is what all jobs of an executor share.
type packageStore struct {
	open func() (*packages.Pool, error)
}

func newPackageStore(dir string) *packageStore {
	return &packageStore{open: sync.OnceValues(func() (*packages.Pool, error) {
		files, err := store.Open(store.Config{Dir: dir})
		if err != nil {
			return nil, &CacheError{err}
		}
		return packages.New(files), nil
	})}
}

// CacheError says that a folder for what can be fetched again cannot be used.
type CacheError struct{ Err error }

func (e *CacheError) Error() string { return e.Err.Error() }
func (e *CacheError) Unwrap() error { return e.Err }

// Code is the stable name of the error.
func (e *CacheError) Code() string { return "cache.unusable" }

// Hint says what to do.
func (e *CacheError) Hint() string {
	return "name a folder of yours, or another disk, with ZVIZ_CACHE_DIR"
}

// jobPackages answers the requests of one job to registries.
type jobPackages struct {
	pool    *packages.Pool
	policy  egress.Policy
	lock    atomic.Pointer[registry.Lock] // nil if no rule needs it
	locks   []registry.Ecosystem          // of which lockfiles count; nil: of all
	waits   bool                          // for the first step with lockfiles in the workspace
	block   map[string][]registry.Blocked
	offline bool
}

// packages returns what answers a job's requests to registries; nil if it has none.
func (x *Executor) packages(r Request, c *cell) (egress.Packages, error) {
	p := r.Policy.Egress
	if len(c.presets)+len(c.more) == 0 && p.NPM.Zero() && p.Packages.Zero() && !r.Policy.Offline {
		return nil, nil
	}
	if x.packageStore == nil {
		if r.Policy.Offline || !p.NPM.Zero() || !p.Packages.Zero() {
			return nil, errors.New("rules about packages, and --offline, need a folder for the package store")
		}
		return nil, nil
	}
	if err := unkept(p, slices.Concat(c.presets, c.more)); err != nil {
		return nil, err
	}
	pool, err := x.packageStore.open()
	if err != nil {
		return nil, err
	}
	for _, preset := range slices.Concat(c.presets, c.more) {
		for _, reg := range preset.Registries {
			e := registry.Ecosystem(reg.Ecosystem)
			if why := (registry.Rules{MinReleaseAge: p.Packages.MinReleaseAge}).Unsupported(e); why != "" && r.Notice != nil {
				r.Notice(why)
				break
			}
		}
	}
	j := &jobPackages{pool: pool, policy: p, offline: r.Policy.Offline, block: map[string][]registry.Blocked{}}
	for _, rules := range []egress.PackageRules{p.NPM, p.Packages} {
		for _, s := range rules.Block {
			if j.block[s] == nil {
				b, err := registry.ParseBlocked(s)
				if err != nil {
					return nil, fmt.Errorf("block %q: %w", s, err)
				}
				j.block[s] = []registry.Blocked{b}
			}
		}
	}
	if p.NPM.LockfileOnly || p.Packages.LockfileOnly {
		j.locks = locksOf(p, slices.Concat(c.presets, c.more))
		if err := j.lockTo(c.work); err != nil {
			return nil, err
		}
	}
	if err := j.unseen(slices.Concat(c.presets, c.more)); err != nil {
		return nil, err
	}
	c.packages = j
	return j, nil
}

// locksOf are the ecosystems whose lockfiles lockfile_only is about: what is wrong with a
// lockfile of another one, such as requirements without hashes beside what npm installs,
// locks nothing that could be fetched.
func locksOf(p egress.Policy, presets []egress.Preset) (list []registry.Ecosystem) {
	if !p.Packages.LockfileOnly {
		return []registry.Ecosystem{registry.NPM}
	}
	for _, preset := range presets {
		for _, r := range preset.Registries {
			if e := registry.Ecosystem(r.Ecosystem); !slices.Contains(list, e) {
				list = append(list, e)
			}
		}
	}
	return list
}

// unseen finds rules about packages that cannot be kept because the operator has what a
// registry answers pass unseen.
func (j *jobPackages) unseen(presets []egress.Preset) error {
	for _, preset := range presets {
		for _, r := range preset.Registries {
			if rule, ok := j.policy.Unseen(r); ok && j.Strict(r) {
				return hinted{
					fmt.Sprintf("by the rule for %s (%s) nobody sees what the registry of the preset %s answers: min_release_age, lockfile_only and block cannot be kept", rule, rule.Origin, preset.Name),
					"tls: terminate for that rule; or leave it out, or the rules about packages",
				}
			}
		}
	}
	return nil
}

// Strict is of egress.Packages.
func (j *jobPackages) Strict(r egress.Registry) bool {
	return j.rules(registry.Ecosystem(r.Ecosystem)).Strict()
}

// unkept finds rules that the registries of a preset cannot be held to: nobody looks at
// the packages of those that the store does not know.
func unkept(p egress.Policy, presets []egress.Preset) error {
	for _, preset := range presets {
		rules := p.Packages
		if slices.Contains([]string{"npm", "yarn", "pnpm"}, preset.Name) {
			rules = rules.And(p.NPM)
		}
		if rules.Publish = false; rules.Zero() || len(preset.Registries) > 0 {
			continue
		}
		return hinted{
			"egress.packages: min_release_age, lockfile_only and block cannot be kept for the preset " + preset.Name + ", whose packages the store does not know",
			"leave the preset out, or the rules; egress.npm is about npm's registries alone",
		}
	}
	return nil
}

// Transport is of egress.Packages.
func (j *jobPackages) Transport(r egress.Registry, next http.RoundTripper, told func(egress.Fetched)) (http.RoundTripper, error) {
	e := registry.Ecosystem(r.Ecosystem)
	return j.pool.Transport(next, packages.Config{
		Ecosystem: e, Base: r.Base, Files: r.Files, SumDB: r.SumDB, Scope: r.Credential,
		Rules: j.rules(e), Offline: j.offline,
		Observe: func(ev packages.Event) { told(packageOf(ev)) },
	})
}

// rules are those for an ecosystem.
func (j *jobPackages) rules(e registry.Ecosystem) registry.Rules {
	l := j.policy.Packages
	if e == registry.NPM {
		l = l.And(j.policy.NPM)
	}
	out := registry.Rules{MinReleaseAge: l.MinReleaseAge, Exclude: l.Exclude}
	if l.LockfileOnly {
		out.Lock = j.lock.Load()
	}
	for _, s := range l.Block {
		out.Block = append(out.Block, j.block[s]...)
	}
	return out
}

func packageOf(ev packages.Event) egress.Fetched {
	p := egress.Fetched{
		Ecosystem: string(ev.Ecosystem), Name: ev.Name, Version: ev.Version, FromStore: ev.FromStore,
		Verdict: egress.VerdictAllow, Reason: ev.Reason, Detail: ev.Detail,
	}
	switch ev.Verdict {
	case packages.Deny:
		p.Verdict = egress.VerdictDeny
	case packages.Note:
		p.Verdict = egress.VerdictNote
	default:
	}
	if ev.Digest != "" {
		p.Digest = ev.Digest.Integrity()
	}
	for _, h := range ev.Hidden[max(0, len(ev.Hidden)-egress.HiddenMost):] {
		p.Hidden = append(p.Hidden, h.Version)
	}
	return p
}
