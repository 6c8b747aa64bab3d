// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"net/http"
	"time"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// Config says what a transport serves.
type Config struct {
	Ecosystem registry.Ecosystem
	Base      string   // URL of the registry; its path is a prefix
	Files     []string // URLs of other places where the registry keeps files
	Rules     registry.Rules
	Offline   bool // never ask upstream

	// Scope keeps entries apart that not every job may see: what was fetched with
	// credentials has a scope that names them. Jobs of other scopes fetch anew.
	Scope string

	// Follow reaches where the registry redirects to, and decides whether it may be
	// reached: registries keep files with other hosts. What comes from there is
	// verified like the rest; no credentials go there. Nil hands the redirect to the
	// job, which needs a rule for that host then, and nothing is kept.
	Follow http.RoundTripper

	// SumDB is Go's checksum database: its name, or its verifier key
	// (NAME+HASH+KEY), with which its answers are proven. Empty: nothing of Go's is
	// kept, as nothing is known to compare with.
	SumDB string

	Observe func(Event)      // called for every request that is for a package; nil discards
	Now     func() time.Time // nil: time.Now
}

// Event says what became of a request.
type Event struct {
	Ecosystem registry.Ecosystem
	Kind      registry.Kind
	Name      string
	Version   string
	Verdict   Verdict
	Reason    string // of a refusal or a note; registry.Reason*
	Detail    string // for people
	Hidden    []Hidden
	Digest    store.Digest // of a file that was verified
	Size      int64
	FromStore bool // nothing was asked upstream
	Stored    bool // it is in the store now
}

// Hidden is a version that was taken out of metadata.
type Hidden struct{ Version, Reason string }

// Verdict is what was decided.
type Verdict string

// The verdicts.
const (
	Allow Verdict = "allow"
	Deny  Verdict = "deny"
	Note  Verdict = "note" // allowed, with something to tell
)

// How old metadata may be before upstream is asked again, and when upstream
// fails.
const (
	documentTTL = 5 * time.Minute
	releaseTTL  = 2 * time.Minute
	staleMost   = 24 * time.Hour
)

// flightsMost bounds what is fetched at the same time, of all jobs together.
const flightsMost = 64

// fileMost bounds a file, bytes.
const fileMost = 4 << 30

// Transport returns what answers requests to a registry. Requests that are not
// below Base or Files go to next as they are, or nowhere when offline.
func (p *Pool) Transport(next http.RoundTripper, c Config) (http.RoundTripper, error) {
	return p.transport(next, c)
}
