// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What a process that was killed while it looked has left goes; what a living
// one has, or made just now, stays.
func TestSweepProbes(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	gone := dead.Process.Pid
	old := time.Now().Add(-time.Minute)
	tests := []struct {
		name  string
		time  time.Time
		stays bool
	}{
		{fmt.Sprintf("zviz-probe-%d-1", gone), old, false},
		{fmt.Sprintf("zviz-probe-%d-2", gone), time.Now().Add(probeMinAge * 9 / 10), true}, // nearly two seconds long
		{fmt.Sprintf("zviz-probe-%d-4", gone), time.Now().Add(time.Hour), false},           // the clock was set back
		{fmt.Sprintf("zviz-probe-%d-3", os.Getpid()), old, true},
		{"zviz-probe-3166511842", old, false}, // no pid
		{"zviz-0123456789ab", old, true},      // a job's
	}
	dir := t.TempDir()
	for _, tt := range tests {
		name := filepath.Join(dir, tt.name)
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, tt.time, tt.time); err != nil {
			t.Fatal(err)
		}
	}
	sweepProbes(dir)
	for _, tt := range tests {
		if _, err := os.Stat(filepath.Join(dir, tt.name)); (err == nil) != tt.stays {
			t.Errorf("%s: there is %v, want %v", tt.name, err == nil, tt.stays)
		}
	}
}

func TestJoined(t *testing.T) {
	hybrid := Hierarchies{V2: "/v2", Kill: true, Controllers: []string{"memory"}, Memory: "/v1/memory", Pids: "/v1/pids", CPU: "/v1/cpu"}
	unified := Hierarchies{V2: "/v2", Kill: true, Controllers: []string{"cpu", "memory", "pids"}}
	for _, c := range []struct {
		name    string
		h       Hierarchies
		without []string
		want    []string
	}{
		{"version 2", unified, nil, nil},
		{"both", hybrid, nil, []string{"pids", "cpu"}},
		{"one allowed to be missing", hybrid, []string{"pids"}, []string{"cpu"}},
		{"no group of version 2", hybrid, []string{"kill"}, []string{"memory", "pids", "cpu"}},
		{"none", Hierarchies{}, nil, nil},
	} {
		if got := c.h.Joined(c.without); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
