// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
)

// openPTY returns a terminal and its other end.
func openPTY(t *testing.T, rows, cols uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		testenv.Missing(t, "no terminal to be had: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { slave.Close() })
	must(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}))
	return master, slave
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const endMark = "END-OF-WHAT-WAS-SHOWN"

// drawn is in every status of three jobs.
const drawn = "running, "

// read gives everything that reaches the master to a screen, up to the mark. statuses is
// how many there were so far.
func read(master *os.File, s *screen, raw *strings.Builder) (done <-chan struct{}, statuses func() int) {
	var mu sync.Mutex
	over := make(chan struct{})
	go func() {
		defer close(over)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			mu.Lock()
			raw.Write(buf[:n])
			mu.Unlock()
			_, _ = s.Write(buf[:n])
			if err != nil || strings.Contains(raw.String(), endMark) {
				return
			}
		}
	}()
	return over, func() int {
		mu.Lock()
		defer mu.Unlock()
		return strings.Count(raw.String(), drawn)
	}
}

// more waits for one more status, as long as it takes.
func more(t *testing.T, statuses func() int, than int) {
	t.Helper()
	for begun := time.Now(); statuses() <= than; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("no status is drawn")
		}
	}
}

// On a real terminal: its modes stay as they are, the status is drawn and is gone at the
// end, and the colours that were asked for are the only other thing.
func TestRealTerminal(t *testing.T) {
	for _, tt := range []struct {
		name     string
		cols     uint16
		env      []string
		color    string
		live     bool
		colors   bool
		resizeTo uint16
	}{
		{name: "colour", cols: 100, live: true, colors: true},
		{name: "NO_COLOR", cols: 100, env: []string{"NO_COLOR", "1"}, live: true},
		{name: "the flag", cols: 100, color: "never", live: true},
		{name: "narrow", cols: 20, live: true, colors: true},
		{name: "wider", cols: 40, live: true, colors: true, resizeTo: 100},
		{name: "dumb", cols: 100, env: []string{"TERM", "dumb"}},
		{name: "CI", cols: 100, env: []string{"CI", "true"}, colors: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			master, slave := openPTY(t, 24, tt.cols)
			before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
			must(t, err)
			s := newScreen(t, 24, int(max(tt.cols, tt.resizeTo)))
			var raw strings.Builder
			done, statuses := read(master, s, &raw)
			getenv := func(k string) string {
				if len(tt.env) > 0 && k == tt.env[0] {
					return tt.env[1]
				}
				return ""
			}
			v := New(Config{Out: slave, Getenv: getenv, Color: tt.color, Jobs: 3})
			events := manyJobs()
			for i, e := range events {
				v.Event(e)
				if i != 8 {
					continue
				}
				if !tt.live {
					time.Sleep(statusDelay + 3*redrawEvery) // for a status that must not come
					continue
				}
				more(t, statuses, 0)
				if tt.resizeTo > 0 {
					sofar := statuses()
					must(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: tt.resizeTo}))
					more(t, statuses, sofar)
				}
			}
			v.Close()
			must(t, v.Err())
			after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
			must(t, err)
			if *before != *after {
				t.Error("the terminal's modes are not as they were")
			}
			_, err = slave.WriteString("\n" + endMark)
			must(t, err)
			<-done
			got, _, _ := strings.Cut(s.text(), endMark)
			if is := strings.Contains(raw.String(), drawn); is != tt.live {
				t.Errorf("status drawn: %v, want %v", is, tt.live)
			}
			if strings.Contains(got, drawn) || tt.live && s.erased() == 0 {
				t.Errorf("the status was not erased:\n%s", got)
			}
			if colored := strings.Contains(raw.String(), "\x1b[1m"); colored != tt.colors {
				t.Errorf("coloured: %v, want %v", colored, tt.colors)
			}
			if n := strings.Count(raw.String(), "\x1b[?7l") - strings.Count(raw.String(), "\x1b[?7h"); n != 0 {
				t.Error("the terminal does not wrap any more")
			}
			mode := Plain
			if tt.live {
				mode = Live
			}
			want := shownBy(t, Config{Mode: mode}, false, sized(24, int(tt.cols)), manyJobs())
			if tt.resizeTo > 0 {
				want, got = squeezed(want), squeezed(got)
			}
			if diff := cmp.Diff(strings.TrimRight(want, "\n"), strings.TrimRight(got, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
