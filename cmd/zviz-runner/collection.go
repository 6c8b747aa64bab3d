// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// firstCollection is GOGC until the heap was collected for the first time: that happens at
// 16 MiB (4 MiB for each 100, package runtime's documentation of GOGC).
const firstCollection = 400

// postponeCollection puts the first collection of the heap off. A start allocates some six
// megabytes; to collect at 4 MiB took a fifth of its processor time and freed one. From the
// first collection on the heap is kept as small as ever. What the environment says counts.
func postponeCollection() {
	if os.Getenv("GOGC") != "" {
		return
	}
	usual := debug.SetGCPercent(firstCollection)
	sentinel := &struct {
		_ *int // a block without pointers may share its place with others that live longer
	}{}
	runtime.AddCleanup(sentinel, func(percent int) { debug.SetGCPercent(percent) }, usual)
}
