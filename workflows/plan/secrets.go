// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"slices"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Secrets say which secrets a job has, and what they are in terms of the run's own. They
// hold no value.
type Secrets struct {
	names       []string // of the run, or of the environment
	parent      *Secrets // of the calling workflow; of an environment: what the job has besides
	environment string
	inherit     bool
	given       *syntax.Token // by the call
	contexts    expr.Values   // of the call
}

// everyJobs is the name of the secret that every job has.
const everyJobs = "GITHUB_TOKEN"

// Names are the secrets that there are, without GITHUB_TOKEN.
func (s *Secrets) Names() []string {
	switch {
	case s.parent == nil:
		return slices.Clone(s.names)
	case s.environment != "":
		list := slices.Clone(s.names)
		for _, name := range s.parent.Names() {
			if !slices.ContainsFunc(s.names, func(own string) bool { return expr.Fold(own) == expr.Fold(name) }) {
				list = append(list, name)
			}
		}
		return list
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

// Own returns a secret of the run, or GITHUB_TOKEN; with the name of one of
// Options.Environments, one of that. An empty text is one that there is not.
type Own func(environment, name string) string

// Value is the value of a secret; own returns those of the run, and GITHUB_TOKEN. A
// secret that a call gives is evaluated, for which own is asked for what it names only.
// A secret that there is not is empty. The error is an *EvalError.
func (s *Secrets) Value(name string, own Own) (string, error) {
	r := resolver{own: own, known: map[secretOf]string{}}
	return r.value(s, name)
}

// resolver finds values, each once: a hostile workflow could give each of its secrets to
// itself many times over, at every level of its calls.
type resolver struct {
	own   Own
	ev    evaluator
	known map[secretOf]string
}

type secretOf struct {
	of   *Secrets
	name string // folded
}

func (r *resolver) value(s *Secrets, name string) (string, error) {
	key := secretOf{s, expr.Fold(name)}
	if v, ok := r.known[key]; ok {
		return v, nil
	}
	v, err := r.find(s, key.name)
	if err == nil {
		r.known[key] = v
	}
	return v, err
}

func (r *resolver) find(s *Secrets, folded string) (string, error) {
	same := func(other string) bool { return expr.Fold(other) == folded }
	switch {
	case same(everyJobs):
		return r.own("", everyJobs), nil
	case s.parent == nil:
		if i := slices.IndexFunc(s.names, same); i >= 0 {
			return r.own("", s.names[i]), nil
		}
		return "", nil
	case s.environment != "":
		if i := slices.IndexFunc(s.names, same); i >= 0 {
			return r.own(s.environment, s.names[i]), nil
		}
		return r.value(s.parent, folded)
	case s.inherit:
		return r.value(s.parent, folded)
	}
	t := member(s.given, folded)
	if t == nil {
		return "", nil
	}
	secrets, err := r.context(s.parent, t)
	if err != nil {
		return "", err
	}
	contexts := maps.Clone(s.contexts)
	contexts["secrets"] = secrets
	return r.ev.text(t, expr.Env{Contexts: contexts})
}

// context is the secrets context for a token: with the secrets that it can reach.
func (r *resolver) context(s *Secrets, t *syntax.Token) (*expr.Object, error) {
	var names []string
	for x := range t.All() {
		if x.Kind != syntax.Expression {
			continue
		}
		e, err := r.ev.parse(x)
		if err != nil {
			return nil, err
		}
		some, all := e.Members("secrets")
		if names = append(names, some...); all {
			names = append(names, append(s.Names(), everyJobs)...)
		}
	}
	var list []expr.Member
	for _, name := range names {
		v, err := r.value(s, name)
		if err != nil {
			return nil, err
		}
		if v != "" {
			list = append(list, expr.Member{Name: name, Value: expr.String(v)})
		}
	}
	return expr.NewObject(list...), nil
}
