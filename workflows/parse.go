// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"errors"
	"fmt"
	"strings"

	"github.com/zviz/run/workflows/syntax"
)

// Options say how to read a workflow.
type Options struct {
	// Open returns the text of a called workflow, named as in uses; what a file of another
	// repository calls ./path is named OWNER/REPO/path@REF. ErrNotHere means
	// that it belongs to another repository and is not at hand: it is then not checked.
	// Nil: no called workflow is read.
	Open func(uses string) (string, error)

	Syntax            syntax.Options
	StrictEvents      bool        // unknown keys of workflow_dispatch are errors too
	MaxJobs           int         // over all files; 0: none
	MaxCalls          int         // how deep calls may be; 0: 9, the tenth level
	PermissionsPolicy TokenPolicy // zero: TokenWrite
}

// TokenPolicy is what the token of a job may do if the file says nothing.
type TokenPolicy string

// The policies that a repository can have.
const (
	TokenWrite TokenPolicy = "Write"
	TokenRead  TokenPolicy = "LimitedRead"
)

// ErrNotHere is the answer of Options.Open for a workflow that is not at hand.
var ErrNotHere = errors.New("not on this machine")

const defaultMaxCalls = 9

// Problems are what is wrong with a workflow. With an error there is no workflow.
type Problems struct {
	Errors   []*syntax.Error
	Warnings []*syntax.Error // GitHub takes it, and it is probably not what was meant
	Files    []string        // a token's File is an index, from 1
}

// Parse reads a workflow and the workflows that it calls.
func Parse(name, text string, o Options) (*Workflow, Problems) {
	if o.MaxCalls == 0 {
		o.MaxCalls = defaultMaxCalls
	}
	if o.PermissionsPolicy == "" {
		o.PermissionsPolicy = TokenWrite
	}
	c := converter{r: syntax.NewReader(o.Syntax), o: o}
	c.warnings = syntax.NewReader(syntax.Options{Limits: syntax.Limits{MaxErrors: maxWarnings}})
	root := c.read(name, text)
	var wf *Workflow
	if !c.r.Failed() && root != nil {
		wf = c.workflow(root)
	}
	if wf != nil && !c.r.Failed() {
		c.loadAll(wf.Jobs)
	}
	p := Problems{Errors: c.r.Errors(), Warnings: c.warningList, Files: c.r.Files()}
	if c.r.Failed() || wf == nil {
		return nil, p
	}
	wf.Files = c.r.Files()
	return wf, p
}

const maxWarnings = 20

// converter makes the model of tokens.
type converter struct {
	r           *syntax.Reader
	o           Options
	jobs        int
	aborted     bool
	warnings    *syntax.Reader
	warningList []*syntax.Error
}

func (c *converter) read(name, text string) *syntax.Token {
	def := "workflow-root"
	if c.o.StrictEvents {
		def = "workflow-root-strict"
	}
	return c.r.Read(name, text, def)
}

// error records what is wrong at a token.
func (c *converter) error(t *syntax.Token, format string, args ...any) {
	if !c.aborted {
		c.r.Error(t, fmt.Sprintf(format, args...))
	}
}

// wrong records the error of an expression.
func (c *converter) wrong(t *syntax.Token, err error) {
	if !c.aborted {
		c.r.Wrong(t, err)
	}
}

// abort ends the conversion, as an exception of GitHub's does: it is recorded without
// a place in its text, and nothing is found after it.
func (c *converter) abort(t *syntax.Token, format string, args ...any) {
	if !c.aborted {
		c.r.Fail(t, fmt.Sprintf(format, args...))
		c.aborted = true
	}
}

func (c *converter) warn(t *syntax.Token, format string, args ...any) {
	if t == nil || len(c.warningList) >= maxWarnings {
		return
	}
	c.warningList = append(c.warningList, &syntax.Error{
		File: c.r.File(t.Pos), Line: t.Pos.Line, Col: t.Pos.Col, Message: fmt.Sprintf(format, args...),
	})
}

// want says whether t has a kind; if not, the conversion ends.
func (c *converter) want(t *syntax.Token, k syntax.Kind, what string) bool {
	if t != nil && t.Kind == k {
		return true
	}
	c.abort(t, "Unexpected type '%s' encountered while reading '%s'. The type '%s' was expected.", kindName(t), what, tokenNames(k))
	return false
}

func (c *converter) wantScalar(t *syntax.Token, what string) bool {
	if t.Scalar() {
		return true
	}
	c.abort(t, "Unexpected type '%s' encountered while reading '%s'. The type 'ScalarToken' was expected.", kindName(t), what)
	return false
}

func kindName(t *syntax.Token) string {
	if t == nil {
		return ""
	}
	return tokenNames(t.Kind)
}

// tokenNames are GitHub's names of the kinds.
func tokenNames(k syntax.Kind) string {
	return []string{
		"NullToken", "BooleanToken", "NumberToken", "StringToken", "SequenceToken", "MappingToken",
		"BasicExpressionToken", "InsertExpressionToken",
	}[k]
}

func (c *converter) workflow(root *syntax.Token) *Workflow {
	wf := &Workflow{}
	if !c.want(root, syntax.Mapping, "root") {
		return wf
	}
	for _, p := range root.Pairs {
		if !c.want(p.Key, syntax.String, "root key") {
			return wf
		}
		switch p.Key.Text {
		case "on":
			wf.On = c.events(p.Value)
		case "name":
			wf.Name = p.Value
		case "run-name":
			wf.RunName = p.Value
		case "defaults":
			wf.Defaults = p.Value
		case "env":
			wf.Env = p.Value
		case "concurrency":
			c.concurrency(p.Value)
			wf.Concurrency = p.Value
		case "jobs":
			wf.Jobs = c.convertJobs(p.Value)
		case "permissions":
			wf.Permissions = c.permissions(p.Value)
		}
	}
	if root.Get("on") == nil && !c.r.Failed() {
		c.error(root, "No event triggers defined in `on`")
	}
	if wf.Permissions != nil {
		for _, j := range wf.Jobs {
			if j.Permissions == nil {
				j.Permissions = wf.Permissions
			}
		}
	}
	return wf
}

// concurrency checks a group that is known early.
func (c *converter) concurrency(t *syntax.Token) {
	var group string
	switch {
	case t.IsExpression():
		return
	case t.Kind == syntax.String:
		group = t.Text
	case !c.want(t, syntax.Mapping, "concurrency"):
		return
	default:
		group = c.concurrencyMapping(t)
	}
	if utf16Len(group) > maxGroupLength {
		c.error(t, "Concurrency group name must be less than 400 characters")
	}
}

const maxGroupLength = 400

func (c *converter) concurrencyMapping(t *syntax.Token) (group string) {
	for _, p := range t.Pairs {
		if p.Key.IsExpression() || p.Value.IsExpression() {
			continue
		}
		switch p.Key.Text {
		case "group":
			if c.want(p.Value, syntax.String, "group key") {
				group = p.Value.Text
			}
		case "cancel-in-progress":
			c.want(p.Value, syntax.Bool, "cancel-in-progress key")
		}
	}
	if cancel := t.Get("cancel-in-progress"); t.Get("queue").String() == "max" && cancel != nil && cancel.Bool {
		c.warn(t.Get("queue"), "queue: max does not go together with cancel-in-progress: true")
	}
	return group
}

// local says whether a called workflow is of the same repository.
func local(uses string) bool { return strings.HasPrefix(uses, "./") }
