// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
)

const breaking = `on: push
jobs:
  a:
    runs-on: ubuntu-latest
    env: {KEY: '${{ secrets.THE_KEY }}'}
    steps:
      - name: First
        env: {OWN: of-the-step}
        working-directory: /home/runner/work/_temp
        run: echo left >"$HOME/left"; exit 7
      - name: Second
        if: always()
        run: echo "set by hand is $BY_HAND"; exit 8
      - name: Third
        if: always()
        run: echo the third ran
`

// console is a terminal with somebody in front of it.
type console struct {
	t      *testing.T
	master *os.File
	seen   strings.Builder
	more   chan string
}

// expect reads until the text is there, from what was not yet looked at.
func (c *console) expect(text string) string {
	c.t.Helper()
	deadline := time.After(time.Minute) // a hang is a failure; a result is waited for
	for {
		if before, after, ok := strings.Cut(c.seen.String(), text); ok {
			c.seen.Reset()
			c.seen.WriteString(after)
			return before + text
		}
		select {
		case s, ok := <-c.more:
			if !ok {
				c.t.Fatalf("it ended without %q:\n%s", text, c.seen.String())
			}
			c.seen.WriteString(s)
		case <-deadline:
			c.t.Fatalf("no %q in:\n%s", text, c.seen.String())
		}
	}
}

func (c *console) send(line string) {
	c.t.Helper()
	if _, err := c.master.WriteString(line + "\r"); err != nil {
		c.t.Fatal(err)
	}
}

// ask types a command whose answer is put between marks that are not in what is echoed.
func (c *console) ask(command string) string {
	c.t.Helper()
	c.send("printf 'BE%s' GIN; " + command + "; printf 'E%s' ND")
	c.expect("BEGIN")
	return strings.TrimSpace(strings.ReplaceAll(strings.TrimSuffix(c.expect("END"), "END"), "\r", ""))
}

func openConsole(t *testing.T) (c *console, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("no terminal to be had: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 111})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	c = &console{t: t, master: master, more: make(chan string, 64)}
	go func() {
		defer close(c.more)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if n > 0 {
				c.more <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return c, slave
}

// A step that fails leaves a shell where it ran: its folder, its variables, its sandbox,
// on a terminal of the size of ours, with secrets masked. The job goes on after it, and a
// second shell gets what is typed then.
func TestBreakOnFailure(t *testing.T) {
	testenv.NeedRoot(t)
	dir := t.TempDir()
	ws := filepath.Join(dir, "ws")
	if err := os.Mkdir(ws, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ws, "ci.yml"), []byte(breaking), 0o644); err != nil {
		t.Fatal(err)
	}
	c, slave := openConsole(t)
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Args = []string{"zviz-runner", "run", "ci.yml", "--break-on-failure", "--color", "never", "--no-network", "--secret", "THE_KEY"}
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = ws, slave, slave, slave
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "TERM=xterm", "ZVIZ_STATE_DIR=" + filepath.Join(dir, "state"), "THE_KEY=a-secret-of-somebody"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.expect("a / First failed (exit code 7): this is a shell where it ran")
	for command, want := range map[string]string{
		"pwd":              "/home/runner/work/_temp",
		`echo "$OWN"`:      "of-the-step",
		`cat "$HOME/left"`: "left",
		"stty size":        "33 111",
		`echo "$TERM"`:     "xterm",
		`echo "key $KEY"`:  "key ***",
		"grep -c NoNewPrivs:.1 /proc/self/status": "1",
		"grep CapEff: /proc/self/status":          "CapEff:\t0000000000000000",
		"test -t 0 && test -t 2 && echo t":        "t",
	} {
		if got := c.ask(command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if err := unix.IoctlSetWinsize(int(c.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 44, Col: 122}); err != nil {
		t.Fatal(err)
	}
	size := ""
	for range 1000 { // the signal may come after what is typed
		if size = c.ask("stty size"); size == "44 122" {
			break
		}
	}
	if size != "44 122" {
		t.Errorf("size of the terminal: %q, want 44 122", size)
	}
	// Ctrl-C is for what runs in the shell.
	c.send("sleep 1000 & echo ready; wait")
	c.expect("ready\r\n")
	if _, err := c.master.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	c.ask("kill %1")
	c.send(`echo BY_HAND=yes >>"$GITHUB_ENV"; exit 3`)
	c.expect("the job goes on")
	c.expect("a / Second failed (exit code 8): this is a shell where it ran")
	if got := c.ask("echo again"); got != "again" {
		t.Errorf("the second shell: %q", got)
	}
	c.send("exit")
	shown := c.expect("✗ .github/workflows/ci.yml failure")
	for _, want := range []string{"set by hand is yes", "the third ran"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in:\n%s", want, shown)
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("exit code: %v, want 1", err)
	}
	after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("modes of the terminal: %+v, before %+v", *after, *before)
	}
}
