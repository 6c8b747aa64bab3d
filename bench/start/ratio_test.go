// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestRatioOf(t *testing.T) {
	a, b := make([]float64, 40), make([]float64, 40)
	for i := range a {
		noise := float64(i%7) / 10
		a[i], b[i] = 2+noise, 4+noise
	}
	got := ratioOf(a, b)
	if got.ratio < 0.4 || got.ratio > 0.6 {
		t.Errorf("ratio: got %v, want about a half", got.ratio)
	}
	if got.low > got.ratio || got.high < got.ratio {
		t.Errorf("interval %v–%v does not hold %v", got.low, got.high, got.ratio)
	}
}

func TestQuantile(t *testing.T) {
	values := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
	if values[0] != 4 {
		t.Error("the argument was sorted in place")
	}
}
