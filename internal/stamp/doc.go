// SPDX-License-Identifier: Apache-2.0

// Package stamp is a program that prints when its first instruction ran, to measure
// the start of what runs it.
package stamp
