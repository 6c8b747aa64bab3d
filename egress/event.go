// SPDX-License-Identifier: Apache-2.0

package egress

import "time"

// Verdict is what was decided.
type Verdict string

// The verdicts.
const (
	VerdictAllow     Verdict = "allow"
	VerdictDeny      Verdict = "deny"
	VerdictWouldDeny Verdict = "would-deny" // let through by ModeAudit
	VerdictLearned   Verdict = "learned"    // let through by ModeLearn
	VerdictNote      Verdict = "note"       // allowed, but something is worth knowing: Reason says what
)

// Door is where a request came in.
type Door string

// The doors.
const (
	DoorTLS     Door = "tls"     // transparent, spliced or refused by its ClientHello
	DoorHTTP    Door = "http"    // a plain or terminated request
	DoorConnect Door = "connect" // the explicit proxy
	DoorDNS     Door = "dns"
	DoorTCP     Door = "tcp" // a port that is no door
	DoorUDP     Door = "udp"
	DoorICMP    Door = "icmp"
)

// Reasons of events. A caller may match them; new ones are added, none renamed.
const (
	ReasonHost         = "host" // no rule names the host
	ReasonDenied       = "denied"
	ReasonPort         = "port"
	ReasonNoName       = "no-name" // an address without a name
	ReasonNoSNI        = "no-sni"
	ReasonIPLiteral    = "ip-literal"
	ReasonMalformed    = "malformed"
	ReasonNotTLS       = "not-tls"
	ReasonHelloLarge   = "hello-too-large"
	ReasonHelloTimeout = "hello-timeout"
	ReasonECH          = "ech"
	ReasonSNIMismatch  = "sni-mismatch"
	ReasonHostMismatch = "host-mismatch"
	ReasonMethod       = "method"
	ReasonPath         = "path"
	ReasonBody         = "body"
	ReasonUpgrade      = "upgrade"
	ReasonHeaderSize   = "header-size"
	ReasonPrivate      = "private-address"
	ReasonMaxNames     = "max-names"
	ReasonDial         = "dial-failed"
	ReasonProxy        = "proxy"        // the runner's own proxy refused, or did not answer
	ReasonIdle         = "idle-timeout" // nothing went through for too long
	ReasonService      = "service"      // a question where a service of an allowed host is
	ReasonLimit        = "limit"
	ReasonUpCap        = "up-cap"
	ReasonMissLimit    = "miss-limit"
	ReasonPlaintext    = "plaintext" // a credential would have gone out without TLS
	ReasonEncoded      = "encoded"   // an answer in which a credential could not be masked
	ReasonFilter       = "filter"    // a filter failed
	ReasonStep         = "step"      // cut at the border of steps
	ReasonCanary       = "canary"    // a planted credential was in it; Canary names it
	ReasonIntegrity    = "integrity" // other bytes than the digest says
	ReasonUntrusted    = "untrusted" // clients hang up on our certificate; Hint names the variable to set
)

// Event is one decision: a connection, a request, a question, or a packet.
type Event struct {
	Time time.Time `json:"time"`
	Type string    `json:"type"` // "egress"
	Job  string    `json:"job,omitempty"`
	Step string    `json:"step,omitempty"` // that ran when it began, or that cut it off

	Verdict   Verdict `json:"verdict"`
	Door      Door    `json:"door"`
	Host      string  `json:"host"` // normal form; what the client sent, clipped, if it has none
	Port      uint16  `json:"port,omitempty"`
	Dst       string  `json:"dst,omitempty"` // the address asked for, with port
	Method    string  `json:"method,omitempty"`
	Path      string  `json:"path,omitempty"`
	QType     string  `json:"qtype,omitempty"`     // of a DNS question
	Transport string  `json:"transport,omitempty"` // "udp" or "tcp", of a DNS question
	Proto     string  `json:"proto,omitempty"`     // of a packet: "tcp", "udp", "icmp"
	Status    int     `json:"status,omitempty"`    // of the answer to a request

	Rule     string   `json:"rule"` // the rule that allowed it; "default" or "deny" if none did
	Reason   string   `json:"reason,omitempty"`
	Hint     string   `json:"hint,omitempty"`     // what to do about it
	Redacted []string `json:"redacted,omitempty"` // parts of the request that did not go out
	// Redirected are the hosts that the gateway followed a redirect of this host to.
	Redirected []string `json:"redirected,omitempty"`
	Opaque     bool     `json:"opaque,omitempty"`   // nobody knows what went through
	Expected   bool     `json:"expected,omitempty"` // a refusal that the policy calls expected
	Injected   bool     `json:"injected,omitempty"` // a credential was put in
	Masked     int      `json:"masked,omitempty"`   // how often the answer repeated it
	Canary     string   `json:"canary,omitempty"`   // the planted credential that was in it
	Misses     int      `json:"misses,omitempty"`   // paths that registries did not have, with ReasonMissLimit

	Fetched *Fetched `json:"package,omitempty"` // what was asked of a registry

	Process
	Package

	Up    int64 `json:"up"`   // bytes that left the cell
	Down  int64 `json:"down"` // bytes that came in
	MS    int64 `json:"ms"`
	Count int   `json:"count,omitempty"` // how many alike this one stands for, if more than one

	Prev string `json:"prev,omitempty"` // hash of the event before this one: Link
}

// Unexpected reports whether something was refused that the policy does not expect:
// what --strict-egress and on_deny look at.
func (e Event) Unexpected() bool { return e.Verdict == VerdictDeny && !e.Expected }

// by says who asked.
func (e *Event) by(o origin) { e.Process, e.Package = o.Process, o.Package }

// Package is the package that a process works for.
type Package struct {
	Pkg    string   `json:"pkg,omitempty"`    // name@version; without PkgBy the package that was asked for
	Script string   `json:"script,omitempty"` // lifecycle script, always claimed
	PkgBy  Evidence `json:"pkg_by,omitempty"` // how far Pkg is to be trusted
}

// Evidence is where a statement comes from.
type Evidence string

// The kinds of evidence.
const (
	// EvidenceClaimed: the environment of the process, or of one that started it, says so.
	EvidenceClaimed Evidence = "claimed"
	// EvidenceProven: besides, every process from the one that first says so down to
	// the one that asked has been in that package's folder, or in none, as the runner
	// saw when it looked. It does not say that the package's code was as published: a
	// script may write into the folder of another package and run there.
	EvidenceProven Evidence = "proven"
)

// Process is who opened a connection, as the host sees it. The zero Process
// means that it was gone before we could look.
type Process struct {
	PID   int      `json:"pid,omitempty"`
	Exe   string   `json:"exe,omitempty"`
	Argv0 string   `json:"argv0,omitempty"`
	Chain []string `json:"chain,omitempty"` // command names from the job's first process down to this one
}
