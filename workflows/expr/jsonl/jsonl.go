// SPDX-License-Identifier: Apache-2.0

// Package jsonl answers questions about expressions, one line of JSON each:
//
//	{"id":1,"expr":"github.ref == 'x'","contexts":{"github":{"ref":"X"}}}
//	{"id":1,"ok":true,"kind":"Boolean","value":true,"string":"true","truthy":true}
//
// The format is that of the tool which asks GitHub's own library, so that the two
// can be compared line by line. Only the contexts and the functions of a question
// may be named in it; a function has a constant value. What JSON cannot hold is
// {"$num":"NaN"}, Infinity, -Infinity and -0, in a question too.
package jsonl

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/zviz/run/workflows/expr"
)

// question is a line that asks. The values stay text, since their members have an
// order.
type question struct {
	ID        json.RawMessage `json:"id"`
	Expr      string          `json:"expr"`
	Contexts  json.RawMessage `json:"contexts"`
	Functions json.RawMessage `json:"functions"`
	Workflow  *string         `json:"workflow"`
}

// stageInput is the stage of a line that is no question.
const stageInput = "input"

// Answer returns the line that answers one, without its newline.
func Answer(line []byte) []byte {
	var q question
	if err := json.Unmarshal(line, &q); err != nil {
		text := err.Error()
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok { // its own text names our types
			text = cmp.Or(e.Field, "a question") + " cannot be of the type " + e.Value
		}
		return failed(nil, stageInput, text)
	}
	if q.Workflow != nil {
		return failed(q.ID, stageInput, "a question about a workflow; only expressions are answered here")
	}
	v, err := q.eval()
	if err != nil {
		stage := stageInput
		if e, ok := errors.AsType[*expr.Error](err); ok {
			stage = string(e.Stage)
		}
		return failed(q.ID, stage, err.Error())
	}
	b := start(q.ID, true)
	b = append(b, `,"kind":"`+v.Kind().String()+`","value":`...)
	b = AppendValue(b, v)
	b = append(b, `,"string":`...)
	b = appendString(b, expr.ToString(v))
	b = append(b, `,"truthy":`...)
	b = strconv.AppendBool(b, expr.Truthy(v))
	return append(b, '}')
}

func failed(id json.RawMessage, stage, text string) []byte {
	b := start(id, false)
	b = append(b, `,"stage":"`+stage+`","error":`...)
	return append(appendString(b, text), '}')
}

func start(id json.RawMessage, ok bool) []byte {
	b := []byte{'{'}
	if len(id) > 0 {
		b = append(append(append(b, `"id":`...), id...), ',')
	}
	return strconv.AppendBool(append(b, `"ok":`...), ok)
}

func (q question) eval() (expr.Value, error) {
	contexts, err := ParseContexts(string(q.Contexts))
	if err != nil {
		return nil, err
	}
	functions, err := object(string(q.Functions))
	if err != nil {
		return nil, err
	}
	o := expr.Options{Contexts: contexts.Names()}
	env := expr.Env{Contexts: contexts.Values(), Functions: map[string]expr.Func{}}
	for name, v := range functions.All() {
		o.Functions = append(o.Functions, expr.Signature{Name: name, Max: 255})
		env.Functions[strings.ToLower(name)] = func([]expr.Value) (expr.Value, error) { return v, nil }
	}
	x, err := expr.Parse(q.Expr, o)
	if err != nil {
		return nil, err
	}
	return x.Eval(env)
}

// Contexts are the named values of a JSON object.
type Contexts struct{ object *expr.Object }

// ParseContexts reads an object of contexts. No text and null are none.
func ParseContexts(text string) (Contexts, error) {
	o, err := object(text)
	return Contexts{o}, err
}

// Names are the names of the contexts.
func (c Contexts) Names() []string {
	var names []string
	for name := range c.object.All() {
		names = append(names, name)
	}
	return names
}

// Values are the contexts. Names in env differ in case too, as on Linux.
func (c Contexts) Values() expr.Values {
	values := expr.Values{}
	for name, v := range c.object.All() {
		name = strings.ToLower(name)
		if o, ok := v.(*expr.Object); ok && name == "env" {
			v = exact(o)
		}
		values[name] = v
	}
	return values
}

func exact(o *expr.Object) *expr.Object {
	var list []expr.Member
	for name, v := range o.All() {
		list = append(list, expr.Member{Name: name, Value: v})
	}
	return expr.NewExactObject(list...)
}

// object reads text that must be an object, if it is there.
func object(text string) (*expr.Object, error) {
	if text == "" || text == "null" {
		return expr.NewObject(), nil
	}
	v, err := expr.ParseJSON(text)
	if err != nil {
		return nil, err
	}
	o, ok := numbers(v).(*expr.Object)
	if !ok {
		return nil, errors.New("contexts and functions must be an object, got " + v.Kind().String())
	}
	return o, nil
}

// numbers puts the number in the place of {"$num":"NaN"} and its like.
func numbers(v expr.Value) expr.Value {
	switch v := v.(type) {
	case *expr.Array:
		var items []expr.Value
		for _, item := range v.All() {
			items = append(items, numbers(item))
		}
		return expr.NewArray(items...)
	case *expr.Object:
		if n, ok := v.Get("$num"); ok && v.Len() == 1 {
			return expr.Number(expr.ToNumber(n))
		}
		var list []expr.Member
		for name, item := range v.All() {
			list = append(list, expr.Member{Name: name, Value: numbers(item)})
		}
		return expr.NewObject(list...)
	default:
		return v
	}
}

// AppendValue writes a value as JSON, without spaces.
func AppendValue(b []byte, v expr.Value) []byte {
	switch v := v.(type) {
	case *expr.Array:
		b = append(b, '[')
		for i, item := range v.All() {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendValue(b, item)
		}
		return append(b, ']')
	case *expr.Object:
		b = append(b, '{')
		first := true
		for name, item := range v.All() {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(appendString(b, name), ':')
			b = AppendValue(b, item)
		}
		return append(b, '}')
	case expr.Number:
		return appendNumber(b, float64(v))
	case expr.String:
		return appendString(b, string(v))
	case expr.Bool:
		return strconv.AppendBool(b, bool(v))
	default:
		return append(b, "null"...)
	}
}

// appendNumber writes a number with all its digits, unlike an expression does.
func appendNumber(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f), math.IsInf(f, 0):
		return append(b, `{"$num":"`+expr.FormatNumber(f)+`"}`...)
	case f == 0 && math.Signbit(f):
		return append(b, `{"$num":"-0"}`...)
	}
	text, _ := json.Marshal(f) // finite: cannot fail; the form is JavaScript's
	return append(b, text...)
}

func appendString(b []byte, s string) []byte {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // cannot fail
	return append(b, strings.TrimSuffix(out.String(), "\n")...)
}
