// SPDX-License-Identifier: Apache-2.0

package concurrency_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/executor/concurrency"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("ZVIZ_TEST_HOLD"); dir != "" {
		hold(dir)
	}
	os.Exit(m.Run())
}

// hold takes a group and never leaves it.
func hold(dir string) {
	g, err := concurrency.Open(dir)
	if err != nil {
		panic(err)
	}
	if _, err := g.Enter(context.Background(), want("g"), nil); err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("held\n")
	select {}
}

func want(group string) concurrency.Want {
	return concurrency.Want{Repository: "https://example.com/o/r", Group: group}
}

func open(t *testing.T, dir string) *concurrency.Groups {
	t.Helper()
	g, err := concurrency.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func enter(t *testing.T, g *concurrency.Groups, w concurrency.Want) *concurrency.Place {
	t.Helper()
	p, err := g.Enter(t.Context(), w, func(int) { t.Errorf("%q has to wait", w.Group) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Leave)
	return p
}

// waiter is one that waits for a group.
type waiter struct {
	place *concurrency.Place
	err   error
	done  chan struct{}
	stop  context.CancelCauseFunc
}

// wait returns once somebody waits for the group.
func wait(t *testing.T, g *concurrency.Groups, w concurrency.Want) *waiter {
	t.Helper()
	ctx, stop := context.WithCancelCause(t.Context())
	x := &waiter{done: make(chan struct{}), stop: stop}
	waits := make(chan int, 1)
	go func() {
		defer close(x.done)
		x.place, x.err = g.Enter(ctx, w, func(pid int) { waits <- pid })
	}()
	t.Cleanup(func() {
		stop(errors.New("the test is over"))
		if <-x.done; x.place != nil {
			x.place.Leave()
		}
	})
	select {
	case <-waits:
	case <-x.done:
		t.Fatalf("it did not wait: %v", x.err)
	}
	return x
}

func TestOneRunsOneWaits(t *testing.T) {
	g := open(t, t.TempDir())
	first := enter(t, g, want("Deploy"))
	enter(t, g, want("other"))
	enter(t, g, concurrency.Want{Repository: "https://example.com/o/r2", Group: "deploy"})
	second := wait(t, g, want("deploy"))
	third := wait(t, g, want("DEPLOY"))
	<-second.done
	var replaced *concurrency.ReplacedError
	if !errors.As(second.err, &replaced) || replaced.Group != "deploy" {
		t.Errorf("who waited: %v, want that it was replaced", second.err)
	}
	select {
	case <-first.Asked():
		t.Error("who has the group is asked to end")
	case <-third.done:
		t.Fatalf("two have the group, or: %v", third.err)
	default:
	}
	first.Leave()
	if <-third.done; third.err != nil {
		t.Error(third.err)
	}
}

func TestCancelInProgress(t *testing.T) {
	g := open(t, t.TempDir())
	first := enter(t, g, want("g"))
	w := want("g")
	w.Cancel = true
	second := wait(t, g, w)
	<-first.Asked()
	select {
	case <-second.done:
		t.Fatal("it has the group before the other one left")
	default:
	}
	first.Leave()
	if <-second.done; second.err != nil {
		t.Fatal(second.err)
	}
	// The ask was for the other one.
	select {
	case <-second.place.Asked():
		t.Error("who came is asked to end")
	default:
	}
}

func TestQueue(t *testing.T) {
	g := open(t, t.TempDir())
	first := enter(t, g, want("g"))
	w := want("g")
	w.Queue = true
	second, third := wait(t, g, w), wait(t, g, w)
	first.Leave()
	if <-second.done; second.err != nil {
		t.Fatal(second.err)
	}
	select {
	case <-third.done:
		t.Fatalf("two have the group, or: %v", third.err)
	default:
	}
	second.place.Leave()
	if <-third.done; third.err != nil {
		t.Fatal(third.err)
	}
}

func TestQueueIsFull(t *testing.T) {
	g := open(t, t.TempDir())
	enter(t, g, want("g"))
	w := want("g")
	w.Queue = true
	for range 100 {
		wait(t, g, w)
	}
	var full *concurrency.FullError
	if _, err := g.Enter(t.Context(), w, nil); !errors.As(err, &full) {
		t.Errorf("number 101: %v, want that as many wait as may", err)
	}
}

func TestEndOfContext(t *testing.T) {
	dir := t.TempDir()
	g := open(t, dir)
	first := enter(t, g, want("g"))
	second := wait(t, g, want("g"))
	gone := errors.New("gone")
	second.stop(gone)
	if <-second.done; !errors.Is(second.err, gone) {
		t.Errorf("%v, want %v", second.err, gone)
	}
	third := wait(t, g, want("g"))
	first.Leave()
	if <-third.done; third.err != nil {
		t.Error(third.err)
	}
	third.place.Leave()
	if left := tree(t, dir); left != "lock" {
		t.Errorf("left in the folder: %s", left)
	}
}

// A process that was killed has no group, and what it left goes.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "ZVIZ_TEST_HOLD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := out.Read(buf); err != nil || string(buf) != "held\n" {
		t.Fatalf("%q, %v", buf, err)
	}
	g := open(t, dir)
	second := wait(t, g, want("g"))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if <-second.done; second.err != nil {
		t.Fatal(second.err)
	}
	second.place.Leave()
	if left := tree(t, dir); left != "lock" {
		t.Errorf("left in the folder: %s", left)
	}
}

// What a killed run left in one group goes when another one is asked for.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, strings.Repeat("a", 64))
	if err := os.Mkdir(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"7", "7.stop", "9.stop"} {
		if err := os.WriteFile(filepath.Join(dead, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	enter(t, open(t, dir), want("g")).Leave()
	if left := tree(t, dir); left != "lock" {
		t.Errorf("left in the folder: %s", left)
	}
}

func tree(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); rel != "." {
			names = append(names, rel)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}
