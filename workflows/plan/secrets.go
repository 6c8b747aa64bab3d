// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Secrets say which secrets a job has, and what they are in terms of the run's own. They
// hold no value.
type Secrets struct {
	names    []string // of the run
	parent   *Secrets // of the calling workflow
	inherit  bool
	given    *syntax.Token // by the call
	contexts expr.Values   // of the call
}

// jobToken is the secret that every job has.
const jobToken = "GITHUB_TOKEN"

// Names are the secrets that there are, without GITHUB_TOKEN.
func (s *Secrets) Names() []string {
	switch {
	case s.parent == nil:
		return slices.Clone(s.names)
	case s.inherit:
		return s.parent.Names()
	case s.given == nil:
		return nil
	}
	var list []string
	for _, p := range s.given.Pairs {
		list = append(list, p.Key.Text)
	}
	return list
}

// Value is the value of a secret; own returns those of the run, and GITHUB_TOKEN. A
// secret that a call gives is evaluated, for which own is asked for what it names only.
// A secret that there is not is empty. The error is an *EvalError.
func (s *Secrets) Value(name string, own func(name string) string) (string, error) {
	same := func(other string) bool { return expr.Fold(other) == expr.Fold(name) }
	switch {
	case same(jobToken):
		return own(jobToken), nil
	case s.parent == nil:
		if i := slices.IndexFunc(s.names, same); i >= 0 {
			return own(s.names[i]), nil
		}
		return "", nil
	case s.inherit:
		return s.parent.Value(name, own)
	}
	t := member(s.given, name)
	if t == nil {
		return "", nil
	}
	var ev evaluator
	secrets, err := s.parent.context(&ev, t, own)
	if err != nil {
		return "", err
	}
	contexts := expr.Values{"secrets": secrets}
	for name, v := range s.contexts {
		contexts[name] = v
	}
	return ev.text(t, expr.Env{Contexts: contexts})
}

// context is the secrets context for a token: with the secrets that it can reach.
func (s *Secrets) context(ev *evaluator, t *syntax.Token, own func(string) string) (*expr.Object, error) {
	var names []string
	for x := range t.All() {
		if x.Kind != syntax.Expression {
			continue
		}
		e, err := ev.parse(x)
		if err != nil {
			return nil, err
		}
		some, all := e.Members("secrets")
		if names = append(names, some...); all {
			names = append(names, append(s.Names(), jobToken)...)
		}
	}
	var list []expr.Member
	for _, name := range names {
		v, err := s.Value(name, own)
		if err != nil {
			return nil, err
		}
		if v != "" {
			list = append(list, expr.Member{Name: name, Value: expr.String(v)})
		}
	}
	return expr.NewObject(list...), nil
}
