// SPDX-License-Identifier: Apache-2.0

// Package pairs compares two things that were measured in turns on a machine that
// is not quiet.
package pairs

import (
	"math/rand/v2"
	"slices"
)

// Interval is a value with the bounds of its 95 % interval.
type Interval struct{ Value, Low, High float64 }

// Ratio returns median(a) ÷ median(b) for samples taken in pairs. The interval
// comes from the bootstrap over rounds: a round is drawn with both of its
// samples, since a slow moment of the machine slows both.
func Ratio(a, b []float64) Interval {
	drawnA, drawnB := make([]float64, len(a)), make([]float64, len(b))
	return bootstrap(len(a), Quantile(a, 0.5)/Quantile(b, 0.5), func(drawn []int) float64 {
		for i, k := range drawn {
			drawnA[i], drawnB[i] = a[k], b[k]
		}
		return Quantile(drawnA, 0.5) / Quantile(drawnB, 0.5)
	})
}

// Median returns the median of values with the interval of the same bootstrap.
func Median(values []float64) Interval {
	drawnValues := make([]float64, len(values))
	return bootstrap(len(values), Quantile(values, 0.5), func(drawn []int) float64 {
		for i, k := range drawn {
			drawnValues[i] = values[k]
		}
		return Quantile(drawnValues, 0.5)
	})
}

// bootstrap calls of with the numbers of rounds that were drawn, as many as there are.
func bootstrap(rounds int, value float64, of func(drawn []int) float64) Interval {
	const draws = 4000
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same numbers each time, on purpose
	values, drawn := make([]float64, draws), make([]int, rounds)
	for i := range values {
		for j := range drawn {
			drawn[j] = random.IntN(rounds)
		}
		values[i] = of(drawn)
	}
	return Interval{Value: value, Low: Quantile(values, 0.025), High: Quantile(values, 0.975)}
}

// Quantile sorts a copy of values and returns its q-th quantile.
func Quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// AtMost says whether a budget is met that is an upper bound: only if the interval's
// bad end meets it.
func (i Interval) AtMost(budget float64) string {
	switch {
	case i.High <= budget:
		return "met"
	case i.Low > budget:
		return "not met"
	default:
		return "undecided"
	}
}

// AtLeast is AtMost for a lower bound.
func (i Interval) AtLeast(budget float64) string {
	return Interval{Low: -i.High, High: -i.Low}.AtMost(-budget)
}
