// SPDX-License-Identifier: Apache-2.0

package main

import "math/rand/v2"

// interval is a ratio with the bounds of its 95 % interval.
type interval struct{ ratio, low, high float64 }

// ratioOf returns median(a) ÷ median(b) for samples taken in pairs. The interval
// comes from the bootstrap over rounds: a round is drawn with both of its
// samples, since a slow moment of the machine slows both.
func ratioOf(a, b []float64) interval {
	const draws = 4000
	random := rand.New(rand.NewPCG(1, 2)) // the same numbers each time, on purpose
	ratios := make([]float64, draws)
	drawnA, drawnB := make([]float64, len(a)), make([]float64, len(b))
	for i := range ratios {
		for j := range a {
			k := random.IntN(len(a))
			drawnA[j], drawnB[j] = a[k], b[k]
		}
		ratios[i] = quantile(drawnA, 0.5) / quantile(drawnB, 0.5)
	}
	return interval{
		ratio: quantile(a, 0.5) / quantile(b, 0.5),
		low:   quantile(ratios, 0.025),
		high:  quantile(ratios, 0.975),
	}
}
