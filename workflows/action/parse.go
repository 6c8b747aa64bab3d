// SPDX-License-Identifier: Apache-2.0

package action

import (
	"fmt"
	"strings"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// maxDepth is what the runner allows in a manifest; in a workflow it is 50.
const maxDepth = 100

// Parse reads a manifest. The name is the file's as errors are to call it. Without an
// error there is a manifest.
func Parse(name, text string) (*Manifest, workflows.Problems) {
	p := parser{r: syntax.NewReader(syntax.Options{NoAnchors: true, Limits: syntax.Limits{MaxDepth: maxDepth}}), name: name}
	m := p.manifest(p.r.Read(name, text, "action-root"))
	problems := workflows.Problems{Errors: p.r.Errors(), Warnings: p.warnings, Files: p.r.Files()}
	if p.r.Failed() || m == nil {
		return nil, problems
	}
	m.Files = p.r.Files()
	return m, problems
}

// parser makes the model of tokens. What ends the runner's reading with an exception
// ends ours: ended is then set, and nothing is recorded after it.
type parser struct {
	r        *syntax.Reader
	name     string
	ended    bool
	warnings []*syntax.Error
}

// end records an error that has no place in GitHub's text; at is the place that we know.
func (p *parser) end(at *syntax.Token, format string, args ...any) {
	if !p.ended {
		p.r.Fail(at, fmt.Sprintf(format, args...))
		p.ended = true
	}
}

// want says whether t is of a kind; if not, that is the end.
func (p *parser) want(t *syntax.Token, k syntax.Kind, what string) bool {
	if p.ended {
		return false
	}
	if t != nil && t.Kind == k {
		return true
	}
	p.end(t, "Unexpected type '%s' encountered while reading '%s'. The type '%s' was expected.", tokenName(t), what, kindName(k))
	return false
}

func (p *parser) text(t *syntax.Token, what string) string {
	if p.want(t, syntax.String, what) {
		return t.Text
	}
	return ""
}

func tokenName(t *syntax.Token) string {
	if t == nil {
		return ""
	}
	return kindName(t.Kind)
}

// kindName is GitHub's name of a kind.
func kindName(k syntax.Kind) string {
	return [...]string{
		"NullToken", "BooleanToken", "NumberToken", "StringToken", "SequenceToken", "MappingToken",
		"BasicExpressionToken", "InsertExpressionToken",
	}[k]
}

func (p *parser) manifest(root *syntax.Token) *Manifest {
	if root == nil && p.r.Failed() {
		return nil
	}
	m := &Manifest{}
	if !p.want(root, syntax.Mapping, "action manifest root") {
		return nil
	}
	var runs *syntax.Token
	for _, pair := range root.Pairs {
		if !p.want(pair.Key, syntax.String, "action.yml property key") {
			return nil
		}
		switch v := pair.Value; pair.Key.Text {
		case "name":
			m.Name = p.text(v, "name")
		case "description":
			m.Description = p.text(v, "description")
		case "inputs":
			m.Inputs = p.inputs(v)
		case "outputs":
			m.Outputs = p.outputs(v)
		case "runs":
			runs = v
		}
	}
	if runs == nil {
		if !p.r.Failed() { // the runner says it last, and alone
			p.end(root, "Top level 'runs:' section is required for %s", p.name)
		}
		return nil
	}
	p.runs(&m.Runs, runs)
	return m
}

func (p *parser) inputs(t *syntax.Token) []Input {
	if !p.want(t, syntax.Mapping, "inputs") {
		return nil
	}
	var list []Input
	for _, pair := range t.Pairs {
		if !p.want(pair.Key, syntax.String, "input name") || !p.want(pair.Value, syntax.Mapping, "input metadata") {
			return nil
		}
		list = append(list, p.input(pair.Key.Text, pair.Value))
	}
	return list
}

func (p *parser) input(name string, t *syntax.Token) Input {
	i := Input{Name: name}
	for _, pair := range t.Pairs {
		if !p.want(pair.Key, syntax.String, "input metadata") {
			break
		}
		v := pair.Value
		switch strings.ToLower(pair.Key.Text) {
		case "default":
			i.Default = v
			if v.Scalar() && !v.IsExpression() && v.Kind != syntax.String { // written Default, which the schema does not know
				i.Default = &syntax.Token{Kind: syntax.String, Pos: v.Pos, Text: v.String()}
			}
		case "deprecationmessage":
			i.Deprecation = p.text(v, "input deprecationMessage")
		case "description":
			i.Description = v.String()
		case "required":
			i.Required = v.Kind == syntax.Bool && v.Bool || v.Kind == syntax.String && strings.EqualFold(v.Text, "true")
		}
	}
	return i
}

func (p *parser) outputs(t *syntax.Token) []Output {
	if !p.want(t, syntax.Mapping, "outputs") {
		return nil
	}
	var list []Output
	for _, pair := range t.Pairs {
		if !pair.Key.IsExpression() {
			list = append(list, Output{Name: pair.Key.Text, Description: pair.Value.Get("description").String(), Value: pair.Value.Get("value")})
		}
	}
	return list
}

// warn says what the runner finds only when it gets there.
func (p *parser) warn(t *syntax.Token, format string, args ...any) {
	p.warnings = append(p.warnings, &syntax.Error{
		File: p.r.File(t.Pos), Line: t.Pos.Line, Col: t.Pos.Col, Message: fmt.Sprintf(format, args...),
	})
}

// condition is a pre-if or post-if. The runner parses it when it comes to it.
func (p *parser) condition(t *syntax.Token, what string) string {
	text := p.text(t, what)
	if _, err := expr.Parse(text, syntax.Allowed("action-step-if")); err != nil && !p.ended {
		p.warn(t, "the %s will fail: %v", what, err)
	}
	return text
}
