// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastHeap is what the heap may grow to, bytes, however little of it is alive.
const leastHeap = 16 << 20

// spareCollections lets the heap grow to leastHeap, or to twice what is alive, before it is
// collected. The runtime's own least is 4 MiB: a start allocates some six, and to collect
// them and free one took a fifth of its processor time. What the environment says counts.
func spareCollections() {
	if os.Getenv("GOGC") != "" {
		return
	}
	usual := debug.SetGCPercent(mostPercent)
	afterCollection(func() { debug.SetGCPercent(max(usual, percent(alive()))) })
}

// mostPercent is GOGC where it stands for a collection at leastHeap by itself: the runtime
// takes 4 MiB for each 100 as its least (gcController.heapMinimum).
const mostPercent = leastHeap / (4 << 20) * 100

// percent is GOGC for a collection at leastHeap.
func percent(alive uint64) int {
	return min(mostPercent, int(leastHeap*100/max(alive, 1))-100)
}

// alive is what the last collection found to be in use, bytes.
func alive() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// afterCollection has f called after each collection of the heap.
func afterCollection(f func()) {
	sentinel := &struct {
		_ *int // a block without pointers may share its place with others that live longer
	}{}
	runtime.AddCleanup(sentinel, func(f func()) {
		f()
		afterCollection(f)
	}, f)
}
