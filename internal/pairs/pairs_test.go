// SPDX-License-Identifier: Apache-2.0

package pairs

import "testing"

func TestRatio(t *testing.T) {
	a, b := make([]float64, 40), make([]float64, 40)
	for i := range a {
		noise := float64(i%7) / 10
		a[i], b[i] = 2+noise, 4+noise
	}
	got := Ratio(a, b)
	if got.Value < 0.4 || got.Value > 0.6 {
		t.Errorf("ratio: got %v, want about a half", got.Value)
	}
	if got.Low > got.Value || got.High < got.Value {
		t.Errorf("interval %v–%v does not hold %v", got.Low, got.High, got.Value)
	}
}

// A machine that is ten times slower in half of the rounds shifts both of a pair.
func TestRatioOfPairs(t *testing.T) {
	a, b := make([]float64, 40), make([]float64, 40)
	for i := range a {
		slow := float64(1 + 9*(i%2))
		a[i], b[i] = 1.1*slow, slow
	}
	if got := Ratio(a, b); got.Low < 1.09 || got.High > 1.11 {
		t.Errorf("got %v, want 1.1 and a narrow interval", got)
	}
}

func TestMedian(t *testing.T) {
	got := Median([]float64{5, 1, 2, 3, 4})
	if got.Value != 3 || got.Low < 1 || got.Low > 2 || got.High < 4 || got.High > 5 {
		t.Errorf("got %v, want 3 and nearly the whole range", got)
	}
	if got := Median([]float64{7, 7, 7}); got != (Interval{7, 7, 7}) {
		t.Errorf("equal values: got %v", got)
	}
}

func TestVerdict(t *testing.T) {
	i := Interval{Value: 1, Low: 0.9, High: 1.1}
	for budget, want := range map[float64]string{1.2: "met", 1.1: "met", 1: "undecided", 0.9: "undecided", 0.8: "not met"} {
		if got := i.AtMost(budget); got != want {
			t.Errorf("at most %v: got %s, want %s", budget, got, want)
		}
	}
	for budget, want := range map[float64]string{0.8: "met", 0.9: "met", 1: "undecided", 1.1: "undecided", 1.2: "not met"} {
		if got := i.AtLeast(budget); got != want {
			t.Errorf("at least %v: got %s, want %s", budget, got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	values := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4} {
		if got := Quantile(values, q); got != want {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
	if values[0] != 4 {
		t.Error("the argument was sorted in place")
	}
}
