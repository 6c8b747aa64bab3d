// SPDX-License-Identifier: Apache-2.0

package expr

import "math"

// index evaluates x.name, x[i] and x.*. What is not there is null. The index of
// what can hold nothing is not evaluated.
func (x *evaluator) index(n *node) (v Value, bytes int, err error) {
	left, err := x.eval(n.args[0])
	if err != nil {
		return nil, 0, err
	}
	star := n.args[1].kind == nodeStar
	if isPrimitive(left) {
		if star {
			return &Array{filtered: true}, 0, nil
		}
		return Null{}, 0, nil
	}
	var key Value
	if !star {
		if key, err = x.eval(n.args[1]); err != nil {
			return nil, 0, err
		}
	}
	array, _ := left.(*Array)
	if !star && (array == nil || !array.filtered) {
		v, _ := member(left, key)
		return v, pointerBytes, nil
	}
	found := filter{counter: x.counter()}
	if array != nil && array.filtered {
		for _, item := range array.items {
			found.from(item, key)
		}
	} else {
		found.from(left, nil)
	}
	if found.counter.full() {
		return nil, 0, x.tooBig(n)
	}
	return &Array{items: found.items, filtered: true}, objectBytes + pointerBytes*len(found.items), nil
}

// filter gathers the items of a filtered array.
type filter struct {
	items   []Value
	counter *counter
}

func (f *filter) add(v Value) {
	if f.counter.add(pointerBytes) {
		f.items = append(f.items, v)
	}
}

// from adds what v has at key, or all that it has if key is nil.
func (f *filter) from(v, key Value) {
	if key != nil {
		if m, ok := member(v, key); ok {
			f.add(m)
		}
		return
	}
	switch v := v.(type) {
	case *Array:
		for _, item := range v.items {
			f.add(item)
		}
	case *Object:
		for _, item := range v.All() {
			f.add(item)
		}
	}
}

// member is the value that an array or an object has at a key.
func member(v, key Value) (Value, bool) {
	switch v := v.(type) {
	case *Array:
		i := math.Floor(ToNumber(key))
		if i >= 0 && i < float64(len(v.items)) { // not NaN
			return v.items[int(i)], true
		}
	case *Object:
		if isPrimitive(key) {
			return v.Get(ToString(key))
		}
	}
	return Null{}, false
}
