// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"fmt"
	"strings"

	"github.com/zviz/run/workflows/action"
)

// At is the place of a uses.
type At struct {
	File      string
	Line, Col int // from 1
}

// Error says why an action is refused. It is about a uses; what the lock file says of it
// is in its text, with the line.
type Error struct {
	At
	Uses    string
	Message string
	hint    string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (Line: %d, Col: %d): %s", e.File, e.Line, e.Col, e.Message)
}

// Hint says what the user can do.
func (e *Error) Hint() string { return e.hint }

const hintUpdate = "if the change of uses is meant, update the lock file and review what it says; else take the change back"

// Resolve finds the commit of an action that the workflow uses, or one of its actions. A
// pin is nil if the uses is none that is locked. The error is an *Error. A uses that names
// a commit must be in the file as well: what it uses itself is in there.
func (l *Locked) Resolve(u action.Uses, at At) (*Pin, error) {
	if u.Kind != action.Remote || u.Workflow() {
		return nil, nil //nolint:nilnil // nothing to find is the answer
	}
	refuse := func(format string, args ...any) (*Pin, error) {
		return nil, &Error{At: at, Uses: u.String(), Message: fmt.Sprintf("%s ", u) + fmt.Sprintf(format, args...), hint: hintUpdate}
	}
	key := u.Pin()
	p, ok := l.file.pin(key)
	switch {
	case ok && l.keys[key]:
		return &p, nil
	case ok:
		return refuse("is not locked for %s: %s has it (line %d), but not for this workflow", l.workflow, l.file.Name, p.Line)
	case l.keys[key]:
		return refuse("is listed for %s in %s, but has no entry under dependencies", l.workflow, l.file.Name)
	}
	if other, ok := l.other(u); ok {
		return refuse("is not in %s, which has %s (line %d)", l.file.Name, other.Key, other.Line)
	}
	return refuse("is not in %s, and %s is locked", l.file.Name, l.workflow)
}

// other is a pin of the same repository at another ref.
func (l *Locked) other(u action.Uses) (Pin, bool) {
	prefix := strings.TrimSuffix(u.Pin(), "@"+u.Ref) + "@"
	for _, p := range l.file.Pins {
		if strings.HasPrefix(p.Key, prefix) && l.keys[p.Key] {
			return p, true
		}
	}
	return Pin{}, false
}

// Found is what a source has found under the name of an action.
type Found struct {
	Commit          string
	OwnerID, RepoID int64 // 0: the source has no such numbers, and they are not compared
}

// Check refuses what is not the pin's: another commit, or a repository that has taken the
// name over. The error is an *Error.
func (p Pin) Check(f *File, got Found, u action.Uses, at At) error {
	var message string
	switch {
	case !strings.EqualFold(got.Commit, p.Commit):
		message = fmt.Sprintf("is commit %s in %s (line %d), but what was found is %s", p.Commit, f.Name, p.Line, got.Commit)
	case got.RepoID != 0 && got.RepoID != p.RepoID:
		message = fmt.Sprintf("is of the repository with number %d in %s (line %d), but the name now belongs to number %d", p.RepoID, f.Name, p.Line, got.RepoID)
	case got.OwnerID != 0 && got.OwnerID != p.OwnerID:
		message = fmt.Sprintf("belongs to the owner with number %d in %s (line %d), but now to number %d", p.OwnerID, f.Name, p.Line, got.OwnerID)
	default:
		return nil
	}
	return &Error{
		At: at, Uses: u.String(), Message: u.String() + " " + message,
		hint: "do not run it before you know why: the action may have been taken over",
	}
}
