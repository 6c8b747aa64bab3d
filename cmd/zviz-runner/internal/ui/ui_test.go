// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func env(kv ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return func(k string) string { return m[k] }
}

func TestUseColor(t *testing.T) {
	for _, tt := range []struct {
		name, mode string
		env        func(string) string
		tty, want  bool
	}{
		{"terminal", "auto", env(), true, true},
		{"pipe", "auto", env(), false, false},
		{"dumb terminal", "", env("TERM", "dumb"), true, false},
		{"NO_COLOR", "auto", env("NO_COLOR", "0"), true, false},
		{"forced in a pipe", "auto", env("CLICOLOR_FORCE", "1"), false, true},
		{"CLICOLOR_FORCE=0 forces nothing", "auto", env("CLICOLOR_FORCE", "0"), false, false},
		{"NO_COLOR beats CLICOLOR_FORCE", "auto", env("NO_COLOR", "1", "CLICOLOR_FORCE", "1"), true, false},
		{"the flag beats NO_COLOR", "always", env("NO_COLOR", "1"), false, true},
		{"the flag beats CLICOLOR_FORCE", "never", env("CLICOLOR_FORCE", "1"), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := useColor(tt.mode, tt.env, tt.tty); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestProgressMode(t *testing.T) {
	for _, tt := range []struct {
		name, mode string
		env        func(string) string
		tty        bool
		want       string
	}{
		{"terminal", "auto", env(), true, "tty"},
		{"pipe", "auto", env(), false, "quiet"},
		{"CI with a terminal", "", env("CI", "true"), true, "quiet"},
		{"CI=false is no CI", "auto", env("CI", "false"), true, "tty"},
		{"dumb terminal", "auto", env("TERM", "dumb"), true, "quiet"},
		{"asked for in a pipe", "plain", env("CI", "true"), false, "plain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := progressMode(tt.mode, tt.env, tt.tty); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// locked is a buffer that a drawing goroutine and the test share.
type locked struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns what was written since the last call.
func (l *locked) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.b.String()
	l.b.Reset()
	return s
}

func TestProgressLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b locked
		p := NewProgress(&b, "tty", func() (rows, cols int) { return 24, 16 })
		p.Phase("network")
		time.Sleep(250 * time.Millisecond)
		if got := b.take(); got != "" {
			t.Errorf("something was shown in the first 300 ms: %q", got)
		}
		time.Sleep(75 * time.Millisecond)
		if got, want := b.take(), "\r\x1b[Kzviz: network  "; got != want {
			t.Errorf("got %q, want %q (cut to the width)", got, want)
		}
		_, _ = p.Writer().Write([]byte("a note\n"))
		if got, want := b.take(), "\r\x1b[Ka note\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		time.Sleep(100 * time.Millisecond)
		b.take()
		p.Phase("")
		if got, want := b.take(), "\r\x1b[K"; got != want {
			t.Errorf("got %q, want the line erased", got)
		}
		time.Sleep(time.Second)
		p.Close()
		p.Close()
		if got := b.take(); got != "" {
			t.Errorf("got %q after the end", got)
		}
	})
}

func TestProgressOfAFastStartShowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := NewProgress(&b, "tty", func() (rows, cols int) { return 0, 0 })
		p.Phase("network")
		time.Sleep(20 * time.Millisecond)
		p.Close()
		if b.String() != "" {
			t.Errorf("got %q", b.String())
		}
	})
}

func TestProgressPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := NewProgress(&b, "plain", func() (rows, cols int) { return 0, 0 })
		p.Phase("network")
		time.Sleep(1200 * time.Millisecond)
		p.Phase("sandbox")
		p.Phase("sandbox")
		p.Close()
		if want := "zviz: network\nzviz: network done in 1.2s\nzviz: sandbox\nzviz: sandbox done in 0.0s\n"; b.String() != want {
			t.Errorf("got\n%swant\n%s", b.String(), want)
		}
	})
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := Table(&b, [][]string{{"layer", "state"}, {"péd", "ok", "x"}, {"landlock", ""}}, nil); err != nil {
		t.Fatal(err)
	}
	if want := "layer     state\npéd       ok     x\nlandlock\n"; b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
