// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

func hybrid() bool { return false }

func withoutUnified() (func(func()), error) { return func(f func()) { f() }, nil }

func detachLeft(string) {}
