// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/zviz/run/sandbox"
)

// placesOf makes a directory of ours one that a job could write to.
func placesOf(tb testing.TB, top string) []place {
	tb.Helper()
	places, err := writable([]sandbox.Mount{{Source: top, Target: top, Write: true, Owner: &sandbox.Owner{UID: uint32(os.Geteuid())}}})
	if err != nil {
		tb.Fatal(err)
	}
	return places
}

// TestWalkGoesOn: who breaks the job off does not leave what it left.
func TestWalkGoesOn(t *testing.T) {
	top := t.TempDir()
	began := readClock()
	if err := os.WriteFile(filepath.Join(top, "s"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(top, "s"), os.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	broken, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("broken off"))
	ctx, end := graced(broken, time.Hour)
	l := newLeftovers(ctx, began.since(readClock()))
	l.settle(top, placesOf(t, top), nil)
	if l.incomplete != "" || len(l.changes) != 1 {
		t.Errorf("got %q %+v", l.incomplete, l.changes)
	}
	end(errors.New("over"))
	l = newLeftovers(ctx, began.since(readClock()))
	l.settle(top, placesOf(t, top), nil)
	if l.incomplete != "interrupted" {
		t.Errorf("got %q", l.incomplete)
	}
	ctx, end = graced(broken, 0)
	defer end(nil)
	<-ctx.Done()
}

// TestWalkLooksAtAll: a number of files, wide and deep, hides nothing, and each is
// met once though several look.
func TestWalkLooksAtAll(t *testing.T) {
	top := t.TempDir()
	began := readClock()
	want := 0
	for i := range 300 {
		dir := filepath.Join(top, strconv.Itoa(i%7), strconv.Itoa(i), "x")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 20 {
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(j)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(dir, "7"), os.ModeSetgid|0o755); err != nil {
			t.Fatal(err)
		}
		want++
	}
	wide := filepath.Join(top, "wide")
	for i := range 2000 { // more than one buffer holds
		if err := os.MkdirAll(filepath.Join(wide, strconv.Itoa(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l := newLeftovers(t.Context(), began.since(readClock()))
	l.settle(top, placesOf(t, top), nil)
	if n := l.entries.Load(); n != 7+300*22+1+2000 || len(l.changes) != want || l.incomplete != "" {
		t.Errorf("%d entries, %d listed, want %d; %q", n, len(l.changes), want, l.incomplete)
	}
	l = newLeftovers(t.Context(), began.since(readClock()))
	l.max = 100
	l.settle(top, placesOf(t, top), nil)
	if l.incomplete != "more than 100 entries" {
		t.Errorf("got %q", l.incomplete)
	}
}
