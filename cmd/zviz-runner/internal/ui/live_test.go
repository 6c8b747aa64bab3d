// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestLiveRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b locked
		p := NewProgress(&b, "tty", func() (rows, cols int) { return 12, 20 })
		p.color = true
		all := []Row{{Text: "denied \x1b[2Jévil.test and more", Bad: true}, {Text: "allowed"}}
		var first atomic.Int64 // the drawing has a goroutine of its own
		p.Live(func(cols, most int) []Row {
			if cols != 19 || most != 4 {
				t.Errorf("%d columns, %d rows", cols, most)
			}
			return all[first.Load():]
		})
		out := p.Beside(&b)
		step := func(want string) {
			t.Helper()
			time.Sleep(progressRedraw)
			synctest.Wait()
			if got := b.take(); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		}
		time.Sleep(progressDelay)
		block := "\r\x1b[J\x1b[1;31mdenied \\x1b[2J\x1b[0m\r\nallowed\x1b[1A\r"
		step(block)
		step("") // nothing new, nothing drawn
		_, _ = out.Write([]byte("half"))
		step("\r\x1b[Jhalf")
		_, _ = out.Write([]byte(" a line\r\n"))
		step(" a line\r\n" + block)
		_, _ = p.Writer().Write([]byte("a note\n"))
		step("\r\x1b[Ja note\n" + block)
		first.Store(1)
		step("\r\x1b[J\r\x1b[Jallowed\r")
		_, _ = out.Write([]byte("\x1b[H"))
		step("\r\x1b[J\x1b[H")
		_, _ = out.Write([]byte("a\n"))
		step("a\n")
		p.Close()
	})
}

// Rows never take more than a third of the window, and go when a phase begins.
func TestLiveMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b locked
		p := NewProgress(&b, "tty", func() (rows, cols int) { return 7, 0 })
		p.Live(func(int, int) []Row { return []Row{{Text: "1"}, {Text: "2"}, {Text: "3"}} })
		time.Sleep(progressDelay + progressRedraw/2)
		synctest.Wait()
		if got, want := b.take(), "\r\x1b[J1\r\n2\x1b[1A\r"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		p.Phase("look")
		time.Sleep(progressRedraw)
		synctest.Wait()
		if got := b.take(); !strings.HasPrefix(got, "\r\x1b[J\r\x1b[Kzviz: look") {
			t.Errorf("got %q", got)
		}
		p.Live(nil)
		p.Close()
		if got := b.take(); got != "\r\x1b[K" {
			t.Errorf("got %q at the end", got)
		}
	})
}

// Where nothing is drawn, what the command writes goes its way untouched.
func TestBesideWithoutATerminal(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&b, "plain", func() (rows, cols int) { return 0, 0 })
	defer p.Close()
	if w := p.Beside(&b); w != &b {
		t.Errorf("%T is in between", w)
	}
}
