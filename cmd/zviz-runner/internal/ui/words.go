// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"strconv"
	"time"
)

// Count returns a number with what is counted.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// Times is " ×3", and nothing for what happened once.
func Times(n int) string {
	if n <= 1 {
		return ""
	}
	return " ×" + strconv.Itoa(n)
}

// Duration returns a time in milliseconds as people read it.
func Duration(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d < time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return d.Round(time.Second).String()
}
