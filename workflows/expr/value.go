// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"iter"
	"slices"
	"sync"
)

// Kind is one of the six kinds of values.
type Kind int

// The kinds.
const (
	KindNull Kind = iota
	KindBool
	KindNumber
	KindString
	KindArray
	KindObject
)

// String is the name that GitHub gives the kind; it is also what an array or an
// object becomes when a string is wanted.
func (k Kind) String() string {
	switch k {
	case KindNull:
		return "Null"
	case KindBool:
		return "Boolean"
	case KindNumber:
		return "Number"
	case KindString:
		return "String"
	case KindArray:
		return "Array"
	default:
		return "Object"
	}
}

// Value is one of Null, Bool, Number, String, *Array and *Object.
type Value interface {
	Kind() Kind
	sealed()
}

// Null is the value of what is not there.
type Null struct{}

// Bool is true or false.
type Bool bool

// Number is the only kind of number.
type Number float64

// String is text.
type String string

// Array is a sequence of values. Two arrays are equal only if they are the same.
type Array struct {
	items    []Value
	filtered bool // made by *: an index goes to each item
}

// Object maps names to values, in order. Names differ only if they differ in
// more than case. Two objects are equal only if they are the same.
type Object struct {
	load func() *members
}

// Member is a name and its value.
type Member struct {
	Name  string
	Value Value
}

type members struct {
	list  []Member
	index map[string]int // by key; nil if there are few
	exact bool
}

// fewMembers are searched faster than they are indexed.
const fewMembers = 8

// Kind returns KindNull.
func (Null) Kind() Kind { return KindNull }

// Kind returns KindBool.
func (Bool) Kind() Kind { return KindBool }

// Kind returns KindNumber.
func (Number) Kind() Kind { return KindNumber }

// Kind returns KindString.
func (String) Kind() Kind { return KindString }

// Kind returns KindArray.
func (*Array) Kind() Kind { return KindArray }

// Kind returns KindObject.
func (*Object) Kind() Kind { return KindObject }

func (Null) sealed()    {}
func (Bool) sealed()    {}
func (Number) sealed()  {}
func (String) sealed()  {}
func (*Array) sealed()  {}
func (*Object) sealed() {}

// NewArray makes an array of the items. A nil item is null.
func NewArray(items ...Value) *Array {
	a := &Array{items: slices.Clone(items)}
	for i, v := range a.items {
		a.items[i] = orNull(v)
	}
	return a
}

// Len is the number of items.
func (a *Array) Len() int { return len(a.items) }

// At is item i, from 0.
func (a *Array) At(i int) Value { return a.items[i] }

// All goes through the items.
func (a *Array) All() iter.Seq2[int, Value] { return slices.All(a.items) }

// NewObject makes an object. Of names that differ only in case the first counts.
func NewObject(list ...Member) *Object { return newObject(list, false) }

// NewExactObject makes an object whose names differ in case too. Only the env
// context is one: variables are so on every system but Windows.
func NewExactObject(list ...Member) *Object { return newObject(list, true) }

// LazyObject makes an object whose members are asked for when they are first
// needed, and once.
func LazyObject(list func() []Member) *Object {
	return &Object{load: sync.OnceValue(func() *members { return newMembers(list(), false) })}
}

func newObject(list []Member, exact bool) *Object {
	m := newMembers(list, exact)
	return &Object{load: func() *members { return m }}
}

func newMembers(list []Member, exact bool) *members {
	m := &members{list: make([]Member, 0, len(list)), exact: exact}
	if len(list) > fewMembers {
		m.index = make(map[string]int, len(list))
	}
	for _, e := range list {
		if m.find(e.Name) >= 0 {
			continue
		}
		if m.index != nil {
			m.index[m.key(e.Name)] = len(m.list)
		}
		m.list = append(m.list, Member{e.Name, orNull(e.Value)})
	}
	return m
}

func (m *members) key(name string) string {
	if m.exact {
		return name
	}
	return Fold(name)
}

// find returns the place of a member, -1 if there is none.
func (m *members) find(name string) int {
	if m.index == nil {
		return slices.IndexFunc(m.list, func(e Member) bool {
			return e.Name == name || !m.exact && compareFold(e.Name, name) == 0
		})
	}
	if i, ok := m.index[m.key(name)]; ok {
		return i
	}
	return -1
}

// Len is the number of members.
func (o *Object) Len() int { return len(o.load().list) }

// Get returns the member of that name.
func (o *Object) Get(name string) (Value, bool) {
	m := o.load()
	i := m.find(name)
	if i < 0 {
		return Null{}, false
	}
	return m.list[i].Value, true
}

// All goes through the members in order.
func (o *Object) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for _, e := range o.load().list {
			if !yield(e.Name, e.Value) {
				return
			}
		}
	}
}

// orNull lets Go's nil stand for null.
func orNull(v Value) Value {
	if v == nil {
		return Null{}
	}
	return v
}
