// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The least and the most that a limit can be: below, nothing starts; above, it
// is a slip.
const (
	MinMemoryBytes = 16 << 20
	maxMemoryBytes = 1 << 50
	maxCPUs        = 1 << 16
	maxPids        = 1 << 22 // PID_MAX_LIMIT, include/linux/threads.h
	maxOpenFiles   = 1 << 20
	maxWall        = 365 * 24 * time.Hour
)

// ParseMemory reads an amount of memory: "512m", "2g", "1.5GiB", or bytes. As
// with docker, a unit is a power of 1024 whether or not it is written "Ki".
func ParseMemory(s string) (int64, error) {
	n, err := ParseBytes(s)
	switch {
	case err != nil:
		return 0, err
	case n < MinMemoryBytes:
		return 0, errors.New("less than 16m: nothing starts in that")
	case n > maxMemoryBytes:
		return 0, errors.New("more than any machine has")
	}
	return n, nil
}

// ParseBytes reads a size in the form of ParseMemory, without its bounds.
func ParseBytes(s string) (int64, error) {
	bad := errors.New(`want a size such as "512m" or "2g"`)
	digits := strings.TrimRight(s, "kKmMgGtTiIbB")
	unit := strings.ToLower(s[len(digits):])
	shift, ok := map[string]int{
		"": 0, "b": 0,
		"k": 10, "kb": 10, "ki": 10, "kib": 10,
		"m": 20, "mb": 20, "mi": 20, "mib": 20,
		"g": 30, "gb": 30, "gi": 30, "gib": 30,
		"t": 40, "tb": 40, "ti": 40, "tib": 40,
	}[unit]
	if !ok {
		return 0, bad
	}
	n, err := parseDecimal(digits)
	if err != nil {
		return 0, bad
	}
	n *= float64(int64(1) << shift)
	if n > math.MaxInt64/2 {
		return 0, errors.New("more than any machine has")
	}
	return int64(n), nil
}

// parseDecimal reads digits with at most one dot: no sign, no exponent, no hex,
// no "inf", which strconv.ParseFloat would take.
func parseDecimal(s string) (float64, error) {
	if s == "" || strings.Trim(s, "0123456789.") != "" || len(s) > 20 {
		return 0, errors.New("want a number")
	}
	return strconv.ParseFloat(s, 64)
}

// ParseCPUs reads a number of processors: "2", "0.5".
func ParseCPUs(s string) (float64, error) {
	n, err := parseDecimal(s)
	switch {
	case err != nil:
		return 0, errors.New(`want a number of processors such as "2" or "0.5"`)
	case n < 0.01: // the kernel's least quota is 1 ms of a period of 100 ms
		return 0, errors.New("less than 0.01 of a processor")
	case n > maxCPUs:
		return 0, errors.New("more than any machine has")
	}
	return n, nil
}

// ParsePids reads a number of processes and threads.
func ParsePids(s string) (int, error) { return parseCount(s, 1, maxPids) }

// ParseOpenFiles reads a number of open files.
func ParseOpenFiles(s string) (int, error) { return parseCount(s, 16, maxOpenFiles) }

func parseCount(s string, least, most int) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n < uint64(least) || n > uint64(most) {
		return 0, fmt.Errorf("want a number from %d to %d", least, most)
	}
	return int(n), nil
}

// ParseWall reads a time limit: "30m", "1h30m", "90s"; "0" means none.
func ParseWall(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		bad := `want a time such as "90s" or "30m"`
		if _, e := strconv.ParseUint(s, 10, 32); e == nil {
			bad += fmt.Sprintf("; did you mean %ss?", s)
		}
		return 0, errors.New(bad)
	case d < time.Millisecond:
		return 0, errors.New("must be at least 1ms; 0 means no limit")
	case d > maxWall:
		return 0, errors.New("more than a year")
	}
	return d, nil
}

// ParseAge reads how old something must be: "7d", "2w", "36h".
func ParseAge(s string) (time.Duration, error) {
	bad := errors.New(`want an age such as "7d", "2w" or "36h"`)
	if len(s) < 2 {
		return 0, bad
	}
	unit, ok := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[s[len(s)-1]]
	if !ok {
		return 0, bad
	}
	n, err := parseCount(s[:len(s)-1], 1, 10000)
	if err != nil {
		return 0, bad
	}
	return time.Duration(n) * unit, nil
}
