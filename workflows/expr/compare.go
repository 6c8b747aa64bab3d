// SPDX-License-Identifier: Apache-2.0

package expr

import "cmp"

// Equal is the operator ==: JavaScript's, but strings are equal without regard to
// case, and arrays and objects only to themselves.
func Equal(a, b Value) bool {
	a, b = coerce(orNull(a), orNull(b))
	switch a := a.(type) {
	case Null:
		return b.Kind() == KindNull
	case Bool:
		return a == b
	case Number:
		n, ok := b.(Number)
		return ok && a == n // NaN is not equal to itself
	case String:
		s, ok := b.(String)
		return ok && compareFold(string(a), string(s)) == 0
	default:
		return a == b
	}
}

// Compare orders two values as < and > do. ok is false if they have no order:
// then both operators are false.
func Compare(a, b Value) (order int, ok bool) {
	a, b = coerce(orNull(a), orNull(b))
	if a.Kind() != b.Kind() {
		return 0, false
	}
	switch a := a.(type) {
	case Bool:
		return cmp.Compare(ToNumber(a), ToNumber(b)), true
	case Number:
		n, _ := b.(Number)
		return cmp.Compare(a, n), a == a && n == n
	case String:
		s, _ := b.(String)
		return compareFold(string(a), string(s)), true
	default:
		return 0, false
	}
}

// coerce makes values of two kinds comparable: a string beside a number becomes a
// number, and so do booleans and null beside anything else.
func coerce(a, b Value) (Value, Value) {
	for a.Kind() != b.Kind() {
		switch {
		case a.Kind() == KindNumber && b.Kind() == KindString:
			b = Number(ToNumber(b))
		case a.Kind() == KindString && b.Kind() == KindNumber:
			a = Number(ToNumber(a))
		case a.Kind() == KindBool || a.Kind() == KindNull:
			a = Number(ToNumber(a))
		case b.Kind() == KindBool || b.Kind() == KindNull:
			b = Number(ToNumber(b))
		default:
			return a, b
		}
	}
	return a, b
}
