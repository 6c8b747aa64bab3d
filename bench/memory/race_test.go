// SPDX-License-Identifier: Apache-2.0

//go:build race

package main

// most is how many times as much as was taken a process may have grown: the race
// detector keeps four times as much again.
const most = 6
