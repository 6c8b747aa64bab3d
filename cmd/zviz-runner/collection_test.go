// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

func TestPostponeCollection(t *testing.T) {
	percent := func() uint64 {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	t.Setenv("GOGC", "")
	usual := percent()
	postponeCollection()
	if got := percent(); got != firstCollection {
		t.Errorf("%d %% before the first collection", got)
	}
	for range 1000 {
		runtime.GC()
		if percent() == usual {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d %% after collections, want %d", percent(), usual)
}
