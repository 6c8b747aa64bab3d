// SPDX-License-Identifier: Apache-2.0

package action

import (
	"errors"
	"fmt"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Value is a name and a text.
type Value struct{ Name, Text string }

// EvalError says which token could not be evaluated.
type EvalError struct {
	Pos syntax.Pos // Manifest.File, or the workflow's Files, name its file
	Err error
}

// Error is GitHub's message without the file, which only the caller knows.
func (e *EvalError) Error() string {
	if e.Pos.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("(Line: %d, Col: %d): %s", e.Pos.Line, e.Pos.Col, e.Err)
}

// Unwrap returns the error of the expression.
func (e *EvalError) Unwrap() error { return e.Err }

// EvalText evaluates a token where a text is wanted: null is an empty one, a sequence or
// a mapping an error. A nil token is an empty text.
func EvalText(t *syntax.Token, o expr.Options, env expr.Env) (string, error) {
	v, err := eval(t, o, env)
	if err != nil {
		return "", err
	}
	return asText(t, v)
}

var (
	errSequence = errors.New("A sequence was not expected")      //nolint:staticcheck // GitHub's text
	errMapping  = errors.New("A mapping was not expected")       //nolint:staticcheck // GitHub's text
	errInsert   = errors.New("Unexpected value '${{ insert }}'") //nolint:staticcheck // GitHub's text
)

func asText(t *syntax.Token, v expr.Value) (string, error) {
	switch v.Kind() {
	case expr.KindArray:
		return "", fail(t, errSequence)
	case expr.KindObject:
		return "", fail(t, errMapping)
	default:
		return expr.ToString(v), nil
	}
}

func eval(t *syntax.Token, o expr.Options, env expr.Env) (expr.Value, error) {
	switch {
	case t == nil:
		return expr.Null{}, nil
	case t.Kind == syntax.Insert:
		return nil, fail(t, errInsert)
	case t.Kind != syntax.Expression:
		return t.Value(), nil
	}
	e, err := expr.Parse(t.Text, o)
	if err != nil {
		return nil, fail(t, err)
	}
	v, err := e.Eval(env)
	if err != nil {
		return nil, fail(t, err)
	}
	return v, nil
}

func fail(t *syntax.Token, err error) error {
	e := &EvalError{Err: err}
	if t != nil {
		e.Pos = t.Pos
	}
	return e
}

// EvalMapping evaluates names and texts: a with, or an env. A key can be an expression,
// and ${{ insert }} stands for the members of its value. A nil token has none. The same
// name twice, without regard to case, has the last text at the first place.
func EvalMapping(t *syntax.Token, o expr.Options, env expr.Env) ([]Value, error) {
	var l values
	err := l.mapping(t, o, env)
	return l.list, err
}

// values are names and texts in the order in which the names came.
type values struct {
	list  []Value
	index map[string]int // by folded name
}

// set adds a name, or changes the text of one that is there.
func (l *values) set(name, text string) {
	key := expr.Fold(name)
	if i, ok := l.index[key]; ok {
		l.list[i].Text = text
		return
	}
	if l.index == nil {
		l.index = map[string]int{}
	}
	l.index[key] = len(l.list)
	l.list = append(l.list, Value{name, text})
}

func (l *values) has(name string) bool {
	_, ok := l.index[expr.Fold(name)]
	return ok
}

func (l *values) mapping(t *syntax.Token, o expr.Options, env expr.Env) error {
	if t == nil {
		return nil
	}
	if t.Kind == syntax.Expression {
		return l.object(t, o, env)
	}
	for _, p := range t.Pairs {
		if p.Key.Kind == syntax.Insert {
			if err := l.mapping(p.Value, o, env); err != nil {
				return err
			}
			continue
		}
		name, err := EvalText(p.Key, o, env)
		if err != nil {
			return err
		}
		text, err := EvalText(p.Value, o, env)
		if err != nil {
			return err
		}
		l.set(name, text)
	}
	return nil
}

// object adds the members of an object that an expression yields.
func (l *values) object(t *syntax.Token, o expr.Options, env expr.Env) error {
	v, err := eval(t, o, env)
	if err != nil {
		return err
	}
	object, ok := v.(*expr.Object)
	if !ok {
		return fail(t, fmt.Errorf("Unexpected value '%s'", expr.ToString(v))) //nolint:staticcheck // GitHub's text
	}
	for name, member := range object.All() {
		text, err := asText(t, member)
		if err != nil {
			return err
		}
		l.set(name, text)
	}
	return nil
}

func sameName(a, b string) bool { return expr.Fold(a) == expr.Fold(b) }

// DockerArgs are the arguments of a docker action; false if the manifest names none and
// the input args holds. An expression whose value is an array is as many arguments.
func (m *Manifest) DockerArgs(in Inputs) ([]string, bool, error) {
	if m.Runs.Args == nil {
		return nil, false, nil
	}
	args := []string{}
	for _, t := range m.Runs.Args.Items {
		v, err := eval(t, syntax.Allowed("action-docker-arg"), in.env())
		if err != nil {
			return nil, true, err
		}
		items := []expr.Value{v}
		if array, ok := v.(*expr.Array); ok {
			items = items[:0]
			for _, item := range array.All() {
				items = append(items, item)
			}
		}
		for _, item := range items {
			text, err := asText(t, item)
			if err != nil {
				return nil, true, err
			}
			args = append(args, text)
		}
	}
	return args, true, nil
}

// DockerEnv is the environment that the manifest of a docker action adds where the step
// has not set the name already.
func (m *Manifest) DockerEnv(in Inputs) ([]Value, error) {
	return EvalMapping(m.Runs.Env, syntax.Allowed("action-docker-env"), in.env())
}

// EvalOutputs are the outputs of a composite action, which are evaluated even if a step
// of it failed. An output without a value is not among them.
func (m *Manifest) EvalOutputs(env expr.Env) ([]Value, error) {
	var list []Value
	for _, o := range m.Outputs {
		if o.Value == nil {
			continue
		}
		text, err := EvalText(o.Value, syntax.Allowed("action-output-value"), env)
		if err != nil {
			return nil, err
		}
		list = append(list, Value{o.Name, text})
	}
	return list, nil
}
