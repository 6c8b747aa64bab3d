// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"testing"
	"time"
)

func TestParseMemory(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int64 // 0 means an error
	}{
		{"512m", 512 << 20},
		{"2g", 2 << 30},
		{"2G", 2 << 30},
		{"2GiB", 2 << 30},
		{"2gb", 2 << 30},
		{"1.5g", 3 << 29},
		{"16777216", 16 << 20},
		{"16384k", 16 << 20},
		{"1t", 1 << 40},
		{"", 0},
		{"g", 0},
		{"-1g", 0},
		{"1e9", 0},
		{"0x10000000", 0},
		{"inf", 0},
		{"nan", 0},
		{"15m", 0},
		{"0", 0},
		{"9999999999t", 0},
		{"99999999999999999999", 0},
		{"2 g", 0},
		{"2gg", 0},
		{"1.2.3g", 0},
		{"2x", 0},
		{"２g", 0},
	} {
		got, err := ParseMemory(tt.in)
		if got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("ParseMemory(%q) = %d, %v; want %d", tt.in, got, err, tt.want)
		}
	}
}

func TestParseCPUs(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want float64 // 0 means an error
	}{
		{"2", 2},
		{"0.5", 0.5},
		{"1.25", 1.25},
		{"0.01", 0.01},
		{"0", 0},
		{"0.001", 0},
		{"-1", 0},
		{"", 0},
		{"two", 0},
		{"Inf", 0},
		{"1e3", 0},
		{"100000", 0},
		{".", 0},
	} {
		got, err := ParseCPUs(tt.in)
		if got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("ParseCPUs(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestParseWall(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"30m", 30 * time.Minute, true},
		{"1h30m", 90 * time.Minute, true},
		{"0", 0, true},
		{"200ms", 200 * time.Millisecond, true},
		{"30", 0, false},
		{"-5m", 0, false},
		{"", 0, false},
		{"5 minutes", 0, false},
		{"1ns", 0, false},
		{"0s", 0, false},
		{"9000h", 0, false},
	} {
		got, err := ParseWall(tt.in)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseWall(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestParseCounts(t *testing.T) {
	if n, err := ParsePids("512"); n != 512 || err != nil {
		t.Error(n, err)
	}
	for _, s := range []string{"", "0", "-1", "1.5", "+5", "1e3", "99999999", "5x"} {
		if n, err := ParsePids(s); err == nil {
			t.Errorf("ParsePids(%q) = %d", s, n)
		}
	}
	if _, err := ParseOpenFiles("3"); err == nil {
		t.Error("3 open files hold nothing but stdio")
	}
}
