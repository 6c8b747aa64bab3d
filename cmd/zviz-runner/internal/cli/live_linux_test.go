// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
)

// shown is what a terminal got so far.
type shown struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *shown) follow(master *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := master.Read(buf)
		s.mu.Lock()
		s.b.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// text is what the terminal got; a line ends with one "\r\n", raw or not.
func (s *shown) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.b.String(), "\r\r\n", "\r\n")
}

// wait waits until the terminal got a text.
func (s *shown) wait(t *testing.T, text string) {
	t.Helper()
	for begun := time.Now(); !strings.Contains(s.text(), text); time.Sleep(time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Errorf("never shown: %q in %q", text, s.text())
			return
		}
	}
}

// ask makes the decisions of a command that wants two hosts, and a name that would clear
// the screen.
func ask(r executor.Request) {
	if r.Observe == nil {
		return
	}
	r.Observe(egress.Event{Verdict: egress.VerdictAllow, Door: egress.DoorDNS, Host: "registry.test"})
	for range 3 {
		r.Observe(egress.Event{Verdict: egress.VerdictAllow, Door: egress.DoorHTTP, Host: "registry.test", Port: 443, Up: 1024, Down: 2048})
	}
	r.Observe(egress.Event{Verdict: egress.VerdictDeny, Door: egress.DoorTLS, Host: "evil\x1b[2J\u202e.test", Port: 443, Reason: egress.ReasonMalformed, Process: egress.Process{PID: 7, Exe: "/usr/bin/node"}})
}

// live runs exec with its standard error on a terminal, and what it printed there.
func live(t *testing.T, args string, out *os.File, env []string, during func(r executor.Request, s *shown)) string {
	t.Helper()
	master, slave := openPTY(t)
	var s shown
	go s.follow(master)
	c := newCmdline(t, env...)
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	a := app{
		System: System{Args: strings.Fields("zviz-runner exec " + args + " -- x"), In: null, Out: out, Err: slave, Env: c.env},
		newRunner: func(executor.Config) (runner, error) {
			return &fake{exec: func(_ context.Context, r executor.Request) (executor.Report, error) {
				r.Phase("")
				ask(r)
				during(r, &s)
				return exited(0), nil
			}}, nil
		},
	}
	if code := a.main(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	_, err = slave.WriteString("END")
	must(t, err)
	s.wait(t, "END")
	return s.text()
}

func outFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "out")
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// Decisions are shown as they happen, refusals first, in a view that makes way for what
// the command writes and is gone at the end. Nothing of a job gets to the terminal but
// as text.
func TestExecLiveView(t *testing.T) {
	const denied = `  denied evil\x1b[2J\u202e.test:443 (malformed)`
	const allowed = "  allowed registry.test:443 x3, up 3.0 KiB down 6.0 KiB"
	got := live(t, "--allow registry.test", outFile(t), []string{"NO_COLOR=1"}, func(r executor.Request, s *shown) {
		s.wait(t, "\r\x1b[Jzviz: network: 1 denied, 3 allowed\r\n"+denied+"\r\n"+allowed+"\x1b[2A\r")
		_, err := io.WriteString(r.Stderr, "the command's own\n")
		must(t, err)
		s.wait(t, "\r\x1b[Jthe command's own\r\n\r\x1b[Jzviz: network")
	})
	if !strings.HasSuffix(got, "\r\x1b[JEND") {
		t.Errorf("the view is not gone: %q", got)
	}
	if strings.Contains(got, "\x1b[2J") || strings.Contains(got, "\x1b[1;31m") {
		t.Errorf("an escape of the job's, or colour: %q", got)
	}
	got = live(t, "--allow registry.test", outFile(t), nil, func(_ executor.Request, s *shown) {
		s.wait(t, "\x1b[1;31m"+denied+"\x1b[0m\r\n"+allowed)
	})
	if strings.Contains(got, "\x1b[2J") {
		t.Errorf("an escape of the job's: %q", got)
	}
}

// Whoever reads the output through a pipe may write to the terminal, and a command that
// has the terminal does: nothing is drawn. Neither is anything where there is none.
func TestExecWithoutLiveView(t *testing.T) {
	_, pipeW := pipe(t)
	defer pipeW.Close()
	for _, tt := range []struct {
		name, args string
		out        *os.File
		env        []string
	}{
		{"piped on", "", pipeW, nil},
		{"CI", "", outFile(t), []string{"CI=true"}},
		{"quiet", "-q", outFile(t), nil},
		{"--progress quiet", "--progress quiet", outFile(t), nil},
		{"a dumb terminal", "", outFile(t), []string{"TERM=dumb"}},
		{"no network", "--no-network", outFile(t), nil},
		{"JSON", "--json", outFile(t), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := live(t, tt.args, tt.out, tt.env, func(r executor.Request, _ *shown) {
				if r.Observe != nil && tt.name != "JSON" {
					t.Error("somebody looks")
				}
				if tt.name == "JSON" {
					return
				}
				if r.Stderr == nil || fmt.Sprintf("%T", r.Stderr) != "*os.File" {
					t.Errorf("%T is between the command and the terminal", r.Stderr)
				}
			})
			if got != "END" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// The terminal is the command's where it has the keys, unless a view is asked for: that
// one comes between its lines, and never again when it has moved the cursor.
func TestExecLiveViewOfACommandWithTheTerminal(t *testing.T) {
	for _, tt := range []struct {
		progress string
		drawn    bool
	}{{"auto", false}, {"plain", false}, {"tty", true}} {
		t.Run(tt.progress, func(t *testing.T) {
			master, slave := openPTY(t)
			var s shown
			go s.follow(master)
			c := newCmdline(t)
			a := app{
				System: System{Args: []string{"zviz-runner", "exec", "--progress", tt.progress, "--", "x"}, In: slave, Out: slave, Err: slave, Env: c.env},
				newRunner: func(executor.Config) (runner, error) {
					return &fake{exec: func(_ context.Context, r executor.Request) (executor.Report, error) {
						r.Phase("")
						if ask(r); (r.Observe != nil) != tt.drawn {
							t.Errorf("looks: %v", r.Observe != nil)
						}
						if !tt.drawn {
							return exited(0), nil
						}
						s.wait(t, "zviz: network: 1 denied")
						_, _ = io.WriteString(r.Stdout, "$ ")
						s.wait(t, "\r\x1b[J$ ")
						_, _ = io.WriteString(r.Stdout, "ls\r\n")
						s.wait(t, "ls\r\n\r\x1b[J\x1b[1;31mzviz: network: 1 denied")
						_, _ = io.WriteString(r.Stdout, "\x1b[?1049h\x1b[H~\r\n")
						return exited(0), nil
					}}, nil
				},
			}
			if code := a.main(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			_, err := slave.WriteString("END")
			must(t, err)
			s.wait(t, "END")
			_, after, found := strings.Cut(s.text(), "\x1b[?1049h")
			if found != tt.drawn || strings.Contains(after, "network") || !tt.drawn && strings.Contains(s.text(), "network") {
				t.Errorf("got %q", s.text())
			}
		})
	}
}

// --progress plain prints each new decision once, and no more of them than people read.
func TestExecLivePlain(t *testing.T) {
	c := newCmdline(t)
	c.exec = func(_ context.Context, r executor.Request) (executor.Report, error) {
		r.Phase("")
		ask(r)
		for i := range 500 {
			r.Observe(egress.Event{Verdict: egress.VerdictDeny, Door: egress.DoorDNS, Host: fmt.Sprintf("n%d.test", i), Reason: egress.ReasonHost})
		}
		return exited(0), nil
	}
	c.run("exec --progress plain -- x")
	for _, want := range []string{
		"zviz: allowed registry.test:443\n",
		`zviz: denied evil\x1b[2J\u202e.test:443 (malformed) by node, pid 7` + "\n",
		"zviz: denied n0.test\n",
		"zviz: more decisions follow; the summary has them\n",
	} {
		if strings.Count(c.err, want) != 1 {
			t.Errorf("want %q once in %q", want, c.err)
		}
	}
	if n := strings.Count(c.err, "\n"); n > liveLinesMost {
		t.Errorf("%d lines", n)
	}
}
