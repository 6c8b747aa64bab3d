// SPDX-License-Identifier: Apache-2.0

package expr

import "math"

// Truthy reports whether an if takes the value for true.
func Truthy(v Value) bool {
	switch v := orNull(v).(type) {
	case Null:
		return false
	case Bool:
		return bool(v)
	case Number:
		return v != 0 && !math.IsNaN(float64(v))
	case String:
		return v != ""
	default:
		return true
	}
}

// ToNumber is the number that a comparison takes the value for.
func ToNumber(v Value) float64 {
	switch v := orNull(v).(type) {
	case Null:
		return 0
	case Bool:
		if v {
			return 1
		}
		return 0
	case Number:
		return float64(v)
	case String:
		return ParseNumber(string(v))
	default:
		return math.NaN()
	}
}

// ToString is the text that format takes the value for. An array is "Array".
func ToString(v Value) string {
	switch v := orNull(v).(type) {
	case Null:
		return ""
	case Bool:
		if v {
			return "true"
		}
		return "false"
	case Number:
		return FormatNumber(float64(v))
	case String:
		return string(v)
	default:
		return v.Kind().String()
	}
}

// isPrimitive is false for arrays and objects.
func isPrimitive(v Value) bool {
	return v.Kind() != KindArray && v.Kind() != KindObject
}
