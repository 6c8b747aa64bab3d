// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
)

// Resolve says which commit a ref of a repository is now: a full commit is itself, without
// a question; else the forge is asked. Of a tag and a branch of the same name it is the
// tag, as GitHub says of workflows (docs.github.com, "Workflow syntax",
// jobs.<job_id>.uses); of actions it says nothing. Offline it is what the forge said last.
// The error is an *Error.
func (c *Cache) Resolve(ctx context.Context, r Repository, ref string) (commit string, err error) {
	fail := func(err error) (string, error) { return "", c.fail(r, ref, err) }
	if err := r.validate(); err != nil {
		return fail(err)
	}
	if low := strings.ToLower(ref); fullCommit(low) {
		return low, nil
	}
	if !validRef(ref) {
		return fail(refuse("%q is neither branch, tag nor commit", clip(ref)))
	}
	if c.cfg.Offline {
		if commit = c.remembered(r, ref); commit == "" {
			return "", &Error{Repository: r, Ref: ref, URL: c.shown(r), Reason: Offline}
		}
		return commit, nil
	}
	c.phase(fmt.Sprintf("look up %s@%s", r, ref))
	defer c.phase("")
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errTooSlow)
	defer cancel()
	names := refNames(ref)
	args := []string{"ls-remote", "--quiet", "--", c.url(r)}
	for _, n := range names {
		args = append(args, n, n+"^{}")
	}
	out, err := c.git.run(ctx, args...)
	if err != nil {
		return fail(err)
	}
	commit, other := pick(string(out), names)
	if commit == "" {
		why := NoRef
		if len(ref) >= 7 && len(ref) < 40 && strings.Trim(strings.ToLower(ref), "0123456789abcdef") == "" {
			why = ShortCommit
		}
		return "", &Error{Repository: r, Ref: ref, URL: c.shown(r), Reason: why}
	}
	if other != "" {
		c.cfg.Log.Warn("a tag and a branch have the same name; the tag is taken", slog.String("action", r.String()), slog.String("ref", ref), slog.String("tag", commit), slog.String("branch", other))
	}
	c.remember(r, ref, commit)
	return commit, nil
}

// refNames are the full names that a ref may stand for, in the order of gitrevisions(7).
func refNames(ref string) []string {
	if strings.HasPrefix(ref, "refs/") {
		return []string{ref}
	}
	return []string{"refs/" + ref, "refs/tags/" + ref, "refs/heads/" + ref}
}

// pick finds the first of the names in what git ls-remote printed. A tag with a message is
// an object of its own; the commit it leads to stands beside it as NAME^{}. Other is what
// a later name leads to, if it is another commit.
func pick(out string, names []string) (commit, other string) {
	found := map[string]string{}
	for line := range strings.Lines(out) {
		id, name, ok := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if ok && fullCommit(id) {
			found[name] = id
		}
	}
	for _, n := range names {
		id := found[n+"^{}"]
		if id == "" {
			id = found[n]
		}
		switch {
		case id == "" || id == commit:
		case commit == "":
			commit = id
		case other == "":
			other = id
		}
	}
	return commit, other
}

// url is the address of a repository.
func (c *Cache) url(r Repository) string { return c.base.JoinPath(r.Owner, r.Name).String() }

// shown is the address for people.
func (c *Cache) shown(r Repository) string { return c.base.JoinPath(r.Owner, r.Name).Redacted() }

// fail makes an *Error; an end of the context stays what it is.
func (c *Cache) fail(r Repository, ref string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	why := reason(err)
	if why == NoRef && fullCommit(ref) {
		err = errors.New("no such commit")
	}
	return &Error{Repository: r, Ref: clip(ref), URL: c.shown(r), Reason: why, Err: err}
}

func refFile(r Repository, ref string) string {
	sum := sha256.Sum256([]byte(ref))
	return path.Join("refs", r.folder(), hex.EncodeToString(sum[:]))
}

// remember keeps the answer for when there is no network. It may be lost.
func (c *Cache) remember(r Repository, ref, commit string) {
	name := refFile(r, ref)
	if c.remembered(r, ref) == commit || c.root.MkdirAll(path.Dir(name), 0o700) != nil {
		return
	}
	temp := "tmp/ref-" + rand.Text()
	if err := c.root.WriteFile(temp, []byte(commit+" "+ref+"\n"), 0o600); err == nil {
		err = c.root.Rename(temp, name)
		if err != nil {
			_ = c.root.Remove(temp)
		}
	}
}

func (c *Cache) remembered(r Repository, ref string) string {
	b, err := c.root.ReadFile(refFile(r, ref))
	if err != nil || len(b) > 4096 {
		return ""
	}
	commit, name, ok := strings.Cut(strings.TrimSuffix(string(b), "\n"), " ")
	if !ok || name != ref || !fullCommit(commit) {
		return ""
	}
	return commit
}
