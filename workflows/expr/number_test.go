// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"math"
	"testing"

	"github.com/zviz/run/workflows/expr"
)

func TestFormatNumber(t *testing.T) {
	for _, tt := range []struct {
		f    float64
		want string
	}{
		{0, "0"},
		{math.Copysign(0, -1), "0"},
		{math.NaN(), "NaN"},
		{math.Inf(1), "Infinity"},
		{math.Inf(-1), "-Infinity"},
		{1, "1"},
		{-1.5, "-1.5"},
		{0.1, "0.1"},
		{0.1 + 0.2, "0.3"},
		{1.0 / 3, "0.333333333333333"},
		{2.0 / 3, "0.666666666666667"},
		{0.0001, "0.0001"},
		{0.00001, "1E-05"},
		{0.00012345, "0.00012345"},
		{1.5e-7, "1.5E-07"},
		{1e-100, "1E-100"},
		{5e-324, "4.94065645841247E-324"},
		{1e14, "100000000000000"},
		{999999999999999, "999999999999999"},
		{999999999999999.9, "1E+15"},
		{1e15, "1E+15"},
		{1e21, "1E+21"},
		{123456789012345678, "1.23456789012346E+17"},
		{-123456789012345678, "-1.23456789012346E+17"},
		{1e14 + 0.5, "100000000000000"}, // exactly between two: to the even digit
		{1e14 + 1.5, "100000000000002"},
		{math.MaxFloat64, "1.79769313486232E+308"},
		{0.84551240822557006, "0.84551240822557"},
		{4294967295, "4294967295"},
	} {
		if got := expr.FormatNumber(tt.f); got != tt.want {
			t.Errorf("FormatNumber(%g): got %s, want %s", tt.f, got, tt.want)
		}
	}
}

func TestParseNumber(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		s    string
		want float64
	}{
		{"", 0},
		{" \t\n\u00a0\u2003", 0},
		{" 1 ", 1},
		{"1.", 1},
		{".5", 0.5},
		{"-.5", -0.5},
		{"+.5", 0.5},
		{"00012", 12},
		{"-2.99e-2", -0.0299},
		{"1E+3", 1000},
		{"1e0", 1},
		{".", nan},
		{"-", nan},
		{"+", nan},
		{"e5", nan},
		{"1e", nan},
		{"1e+", nan},
		{"1.5.2", nan},
		{"+-1", nan},
		{"--1", nan},
		{"1_000", nan},
		{"1,000", nan},
		{"1 2", nan},
		{"１", nan},
		{"1f", nan},
		{"0x1p3", nan},
		{"1e5x", nan},
		{"1e400", inf},
		{"-1e400", -inf},
		{"1e-400", 0},
		{"1e99999999999999999999", inf},
		{"0x0", 0},
		{"0xff", 255},
		{"0xFF", 255},
		{"0x00000000FF", 255},
		{"0x7FFFFFFF", 2147483647},
		{"0x80000000", -2147483648},
		{"0xFFFFFFFF", -1},
		{"0x1FFFFFFFF", nan},
		{"0X1F", nan},
		{"-0x1", nan},
		{"+0x1", nan},
		{"0x", nan},
		{"0xg", nan},
		{"0x_1", nan},
		{"0x-1", nan},
		{"0o17", 15},
		{"0o37777777777", -1},
		{"0o40000000000", nan},
		{"0o8", nan},
		{"0O17", nan},
		{"0o", nan},
		{"0b11", nan},
		{"Infinity", inf},
		{"-Infinity", -inf},
		{"+Infinity", inf},
		{"infinity", inf},
		{"-INFINITY", -inf},
		{"Inf", nan},
		{"∞", nan},
		{"NaN", nan},
		{"nan", nan},
		{"-NaN", nan},
		{"true", nan},
		{"abc", nan},
	} {
		got := expr.ParseNumber(tt.s)
		if got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("ParseNumber(%q): got %g, want %g", tt.s, got, tt.want)
		}
	}
	if got := expr.ParseNumber("-0"); !math.Signbit(got) || got != 0 {
		t.Errorf("ParseNumber(-0): got %g, want -0", got)
	}
}
