// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
)

// Annotation is what a problem matcher found in a step's output.
type Annotation struct {
	Severity string // notice, warning or error
	Message  string
	File     string // as printed, relative to FromPath's directory if that is set
	FromPath string
	Line     string
	Column   string
	Code     string
}

// Matchers are the problem matchers of a job, the newest first. The zero value has none.
// They are not safe for concurrent use.
type Matchers struct{ list []*matcher }

// Lines is what the lines of one stream gave so far. The zero value is before the first.
type Lines struct{ found map[*matcher][]*Annotation }

// matcher is one problem matcher: patterns that match consecutive lines.
type matcher struct {
	owner, severity, fromPath string
	patterns                  []pattern
	size                      int // of its expressions
}

type pattern struct {
	re     *regexp.Regexp
	size   int
	groups map[string]int
	loop   bool
}

// MatcherError says what is wrong with a file of problem matchers.
type MatcherError struct {
	Owner string
	Text  string
	// Unsupported says that its expression may be right for GitHub: here there is neither
	// look-around nor back-reference, and what expressions may take is bounded.
	Unsupported bool
}

func (e *MatcherError) Error() string {
	if e.Owner == "" {
		return "problem matcher: " + e.Text
	}
	return fmt.Sprintf("problem matcher %q: %s", e.Owner, e.Text)
}

type matcherFile struct {
	ProblemMatcher []definition `json:"problemMatcher"`
}

type definition struct {
	Owner    string                       `json:"owner"`
	Severity string                       `json:"severity"`
	FromPath string                       `json:"fromPath"`
	Pattern  []map[string]json.RawMessage `json:"pattern"`
}

// groupNames are what a pattern may take from a line.
func groupNames() []string {
	return []string{"file", "fromPath", "line", "column", "severity", "code", "message"}
}

// Add adds the matchers of a file before those that are there; one of the same owner is
// replaced. Nothing is added if one of them is wrong.
func (m *Matchers) Add(file []byte) error {
	var f matcherFile
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(file), bom)), &f); err != nil {
		return &MatcherError{Text: err.Error()}
	}
	if len(f.ProblemMatcher) == 0 {
		return &MatcherError{Text: "the file has no problemMatcher"}
	}
	var fresh []*matcher
	size := 0
	for _, n := range m.list {
		if !slices.ContainsFunc(f.ProblemMatcher, func(d definition) bool { return strings.EqualFold(d.Owner, n.owner) }) {
			size += n.size
		}
	}
	for _, d := range f.ProblemMatcher {
		n := &matcher{owner: d.Owner, severity: d.Severity, fromPath: d.FromPath}
		err := n.compile(d.Pattern)
		if size += n.size + 1; err == nil && size > mostSizes {
			err = errTooLarge
		}
		if err != nil {
			var unsupported *syntax.Error
			return &MatcherError{Owner: d.Owner, Text: err.Error(), Unsupported: errors.Is(err, errTooLarge) || errors.As(err, &unsupported) && perlOnly(unsupported)}
		}
		fresh = append(fresh, n)
	}
	for _, n := range fresh {
		m.Remove(n.owner)
	}
	m.list = append(fresh, m.list...)
	return nil
}

// What expressions may take, in instructions of about a hundred bytes: (((x{10}){10}){10} is
// a thousand of them.
const (
	mostSize  = 10_000
	mostSizes = 100_000 // of all matchers of a job
)

var errTooLarge = errors.New("the expressions are too large")

// sizeOf is about how many instructions an expression takes; no more is counted than is
// needed to know that it is too large.
func sizeOf(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)/2
	for _, sub := range re.Sub {
		n += sizeOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, mostSize+1)
}

// perlOnly says whether an error is for what .NET and Perl know and Go does not.
func perlOnly(e *syntax.Error) bool {
	switch e.Code {
	case syntax.ErrInvalidPerlOp, syntax.ErrInvalidEscape, syntax.ErrInvalidRepeatSize:
		return true
	case syntax.ErrInvalidNamedCapture:
		return strings.HasPrefix(e.Expr, "(?<=") || strings.HasPrefix(e.Expr, "(?<!")
	default:
		return false
	}
}

func (n *matcher) compile(patterns []map[string]json.RawMessage) error {
	if n.owner == "" {
		return errors.New("owner must not be empty")
	}
	if !slices.Contains([]string{"", "notice", "warning", "error"}, strings.ToLower(n.severity)) {
		return fmt.Errorf("severity %q: want notice, warning or error", n.severity)
	}
	if len(patterns) == 0 {
		return errors.New("it has no pattern")
	}
	used := map[string]bool{}
	for i, raw := range patterns {
		p, err := newPattern(raw)
		if err != nil {
			return fmt.Errorf("pattern %d: %w", i+1, err)
		}
		n.size += p.size
		last := i == len(patterns)-1
		if p.loop && (!last || i == 0) {
			return fmt.Errorf("pattern %d: only the last of several patterns may loop", i+1)
		}
		if _, ok := p.groups["message"]; p.loop && !ok {
			return fmt.Errorf("pattern %d: one that loops must set message", i+1)
		}
		for name := range p.groups {
			if used[name] {
				return fmt.Errorf("pattern %d: %s is set by an earlier pattern", i+1, name)
			}
			used[name] = true
		}
		n.patterns = append(n.patterns, p)
	}
	if !used["message"] {
		return errors.New("no pattern sets message")
	}
	return nil
}

func newPattern(raw map[string]json.RawMessage) (pattern, error) {
	p := pattern{groups: map[string]int{}}
	var text string
	if err := json.Unmarshal(raw["regexp"], &text); err != nil || text == "" {
		return p, errors.New("regexp must be a text that is not empty")
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return p, err
	}
	if p.size = sizeOf(tree); p.size > mostSize {
		return p, errTooLarge
	}
	if p.re, err = regexp.Compile(text); err != nil {
		return p, err
	}
	if loop, ok := raw["loop"]; ok {
		if err := json.Unmarshal(loop, &p.loop); err != nil {
			return p, errors.New("loop must be true or false")
		}
	}
	for _, name := range groupNames() {
		value, ok := raw[name]
		if !ok {
			continue
		}
		var n int
		if err := json.Unmarshal(value, &n); err != nil || n < 0 || n > p.re.NumSubexp() {
			return p, fmt.Errorf("%s: want the number of a group, at most %d", name, p.re.NumSubexp())
		}
		p.groups[name] = n
	}
	return p, nil
}

// Remove removes the matcher of an owner.
func (m *Matchers) Remove(owner string) {
	m.list = slices.DeleteFunc(m.list, func(n *matcher) bool { return strings.EqualFold(n.owner, owner) })
}

// Owners lists the owners in the order in which they match.
func (m *Matchers) Owners() []string {
	var out []string
	for _, n := range m.list {
		out = append(out, n.owner)
	}
	return out
}

// colour is a control sequence of a terminal (ECMA-48, SGR).
var colour = sync.OnceValue(func() *regexp.Regexp { //nolint:gochecknoglobals // a constant
	return regexp.MustCompile("\x1b\\[[0-9;]*m?")
})

// Match gives the next line of a stream to the matchers and returns what the first of them
// that is complete found. The others forget what they had of the stream.
func (m *Matchers) Match(line string, so *Lines) (Annotation, bool) {
	if len(m.list) == 0 {
		return Annotation{}, false
	}
	if strings.Contains(line, "\x1b") {
		line = colour().ReplaceAllString(line, "")
	}
	if so.found == nil {
		so.found = map[*matcher][]*Annotation{}
	}
	for _, n := range m.list {
		found := so.found[n]
		if found == nil {
			found = make([]*Annotation, len(n.patterns))
			so.found[n] = found
		}
		if a, ok := n.match(line, found); ok {
			so.found = map[*matcher][]*Annotation{n: found}
			return a, true
		}
	}
	return Annotation{}, false
}

// match gives a line to a matcher; found is by pattern what the lines so far gave.
func (n *matcher) match(line string, found []*Annotation) (Annotation, bool) {
	last := len(n.patterns) - 1
	for i := last; i >= 0; i-- {
		var before *Annotation
		if i > 0 {
			if before = found[i-1]; before == nil {
				continue
			}
		}
		p := n.patterns[i]
		groups := p.re.FindStringSubmatch(line)
		switch {
		case groups == nil && i == last && i > 0:
			found[i-1] = nil
		case groups == nil:
			found[i] = nil
		case i == last:
			clear(found)
			if p.loop {
				found[i-1] = before
			}
			return n.finish(p.add(before, groups)), true
		default:
			a := p.add(before, groups)
			found[i] = &a
			if i > 0 {
				found[i-1] = nil
			}
		}
	}
	return Annotation{}, false
}

// add returns what a pattern's groups add to the annotation of earlier lines.
func (p pattern) add(before *Annotation, groups []string) Annotation {
	var a Annotation
	if before != nil {
		a = *before
	}
	for name, field := range map[string]*string{
		"file": &a.File, "fromPath": &a.FromPath, "line": &a.Line, "column": &a.Column,
		"severity": &a.Severity, "code": &a.Code, "message": &a.Message,
	} {
		if i, ok := p.groups[name]; ok {
			*field = strings.TrimSpace(groups[i])
		}
	}
	return a
}

// finish puts in what the lines do not say: the severity, which is what a line says if that
// is one, else the matcher's, else error; and from where the file's path goes.
func (n *matcher) finish(a Annotation) Annotation {
	a.FromPath = cmp.Or(a.FromPath, n.fromPath)
	for _, s := range []string{a.Severity, n.severity, "error"} {
		if s = strings.ToLower(s); slices.Contains([]string{"notice", "warning", "error"}, s) {
			a.Severity = s
			break
		}
	}
	return a
}
