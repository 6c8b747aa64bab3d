// SPDX-License-Identifier: Apache-2.0

package action

import (
	"errors"
	"fmt"
	"strings"
)

// Reason is why an action could not be brought.
type Reason string

// The reasons.
const (
	Unreachable Reason = "unreachable" // the forge
	NoGit       Reason = "no git"
	NoAccess    Reason = "no access" // there is no such repository, or it is private
	NoRef       Reason = "no ref"    // no branch, tag or commit of that name
	ShortCommit Reason = "short"     // a ref that is the beginning of a commit
	Offline     Reason = "offline"   // it is not in the cache, and nothing may be fetched
	TooLarge    Reason = "too large" // or too slow
	Refused     Reason = "refused"   // what the repository holds
	Failed      Reason = "failed"    // git, or the disk
)

// Error says what could not be brought, and why.
type Error struct {
	Repository Repository
	Ref        string // a ref or a commit
	URL        string // without a password
	Reason     Reason
	Err        error
}

func (e *Error) Error() string {
	name := fmt.Sprintf("action %s@%s", e.Repository, e.Ref)
	switch e.Reason {
	case Unreachable:
		return fmt.Sprintf("%s: cannot reach %s: %v", name, e.URL, e.Err)
	case NoAccess:
		return fmt.Sprintf("%s: there is no repository %s, or it is private: %v", name, e.URL, e.Err)
	case NoRef:
		return fmt.Sprintf("%s: %s has no branch, tag or commit of that name", name, e.URL)
	case ShortCommit:
		return fmt.Sprintf("%s: %s is neither a branch nor a tag of %s; a commit must be given in full", name, e.Ref, e.URL)
	case Offline:
		return name + ": it is not in the cache, and nothing is fetched offline"
	default:
		return fmt.Sprintf("%s: %v", name, e.Err)
	}
}

func (e *Error) Unwrap() error { return e.Err }

// Hint says what the user can do.
func (e *Error) Hint() string {
	repo := e.Repository.String()
	switch e.Reason {
	case Unreachable:
		return "look at the network and at the proxy that git uses; what is in the cache runs with --offline, and a folder with the action's files with --local-action " + repo + "=DIR"
	case NoGit:
		return "install git, or name a folder with the action's files: --local-action " + repo + "=DIR"
	case NoAccess:
		return "check the spelling; for a private repository give git access to it (git credential, or ssh), then try: git ls-remote " + e.URL
	case NoRef:
		return "see what there is: git ls-remote " + e.URL
	case ShortCommit:
		return "write all 40 digits of the commit; GitHub takes no short ones either"
	case Offline:
		return "run it once without --offline, or name a folder with its files: --local-action " + repo + "=DIR"
	case TooLarge:
		return "a folder that you fetched yourself has no limit: --local-action " + repo + "=DIR"
	default:
		return ""
	}
}

// refusal is about what a repository holds.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return refusal{fmt.Sprintf(format, args...)} }

// errTooLarge is about the limits of Config.
var errTooLarge = errors.New("too large")

// reason classifies what went wrong in here.
func reason(err error) Reason {
	if e, ok := errors.AsType[*gitError](err); ok {
		return e.reason
	}
	if _, ok := errors.AsType[refusal](err); ok {
		return Refused
	}
	if errors.Is(err, errTooLarge) || errors.Is(err, errTooSlow) {
		return TooLarge
	}
	return Failed
}

// gitReason reads what git said with LC_ALL=C; there is no other way to know.
func gitReason(said string) Reason {
	s := strings.ToLower(said)
	for _, known := range []struct {
		reason Reason
		texts  []string
	}{
		{Unreachable, []string{
			"could not resolve", "failed to connect", "couldn't connect", "connection refused", "connection timed out", "timed out", "network is unreachable",
			"no route to host", "connection reset", "could not connect", "temporary failure in name resolution", "operation too slow", "gnutls", "ssl certificate", "ssl_", "tls handshake", "tls connection",
			"the requested url returned error: 5", "the requested url returned error: 429", "received http code 4", "received http code 5", "empty reply from server", "connect tunnel failed",
		}},
		{NoAccess, []string{
			"not found", "could not read username", "could not read password", "authentication failed", "permission denied (publickey", "does not appear to be a git repository",
			"the requested url returned error: 40", "access denied", "repository does not exist", "terminal prompts disabled", "host key verification failed", "not a git repository",
		}},
		{NoRef, []string{"not our ref", "couldn't find remote ref", "unadvertised object", "no such remote ref"}},
	} {
		for _, t := range known.texts {
			if strings.Contains(s, t) {
				return known.reason
			}
		}
	}
	return Failed
}
