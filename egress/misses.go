// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"hash/maphash"
	"net/http"
	"sync"
)

// misses bounds how many names a job can ask registries for that they do not have:
// each is a message to whoever reads the registry's log (threat 29).
type misses struct {
	most int
	seed maphash.Seed

	mu     sync.Mutex
	missed map[uint64]bool
	had    map[uint64]bool // what was there may be asked for again
}

// hadMost bounds what is remembered; 8 bytes each.
const hadMost = 1 << 16

func newMisses(most int) *misses {
	return &misses{most: most, seed: maphash.MakeSeed(), missed: map[uint64]bool{}, had: map[uint64]bool{}}
}

func (m *misses) key(x *Exchange) uint64 {
	return maphash.String(m.seed, x.Host+x.Out.URL.EscapedPath())
}

// Request refuses what was not asked for yet once the limit is reached.
func (m *misses) Request(x *Exchange) (*http.Response, error) {
	if x.Rule.Preset == "" {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if key := m.key(x); len(m.missed) >= m.most && !m.had[key] && !m.missed[key] {
		x.Event.Misses = len(m.missed)
		return nil, &RefusalError{Reason: ReasonMissLimit, Hint: "the registry did not have that many paths: egress.limits.misses of the policy file"}
	}
	return nil, nil
}

// Response counts.
func (m *misses) Response(x *Exchange, r *http.Response) error {
	if x.Rule.Preset == "" {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case r.StatusCode == http.StatusNotFound || r.StatusCode == http.StatusGone:
		m.missed[m.key(x)] = true
	case r.StatusCode < http.StatusBadRequest && len(m.had) < hadMost:
		m.had[m.key(x)] = true
	}
	return nil
}
