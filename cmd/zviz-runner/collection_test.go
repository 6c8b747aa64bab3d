// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// The heap is collected at leastHeap, or at twice what is alive.
func TestSpareCollections(t *testing.T) {
	goal := func() uint64 {
		s := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	within := func(from, to uint64) {
		t.Helper()
		for range 1000 {
			runtime.GC()
			if g := goal(); g >= from && g <= to {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Errorf("collected at %d bytes with %d alive, want %d to %d", goal(), alive(), from, to)
	}
	t.Setenv("GOGC", "")
	usual := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(usual) })
	spareCollections()
	within(leastHeap, leastHeap+leastHeap/4) // roots count too
	func() {
		big := make([]*[1 << 10]byte, 40<<10)
		for i := range big {
			big[i] = new([1 << 10]byte)
		}
		within(80<<20, 100<<20)
		runtime.KeepAlive(big)
	}()
	within(leastHeap, leastHeap+leastHeap/4)
}
