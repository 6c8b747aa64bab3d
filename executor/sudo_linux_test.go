// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

const sudoNote = "sudo: nothing more is granted in this sandbox: the command runs as it is"

// TestSudo is a table of ways in which scripts call it, each run for real.
func TestSudo(t *testing.T) {
	b := newBench(t)
	b.write(t, "plain", "not a program\n")
	b.write(t, "sub/x", "")
	cases := []sudoCase{
		{`sudo id -u`, "1000\n", 0},
		{`sudo sh -c 'exit 7'`, "", 7},
		{`sudo false`, "", 1},
		{`sudo -n true`, "", 0},
		{`sudo -nEH echo x`, "x\n", 0},
		{`sudo -E -H -n -P -A -B -N echo x`, "x\n", 0},
		{`echo line | sudo -S cat`, "line\n", 0},
		{`echo line | sudo --stdin -p 'password: ' cat`, "line\n", 0},
		{`sudo -p '' -k echo x`, "x\n", 0},
		{`sudo -u postgres id -u`, "1000\n", 0},
		{`sudo -uroot id -u`, "1000\n", 0},
		{`sudo -nu root id -u`, "1000\n", 0},
		{`sudo -u '#0' -g '#0' id -u`, "1000\n", 0},
		{`sudo --user=root --group=root id -u`, "1000\n", 0},
		{`sudo --user root -- id -u`, "1000\n", 0},
		{`sudo --preserve-env=PATH,HOME --non-interactive --set-home echo x`, "x\n", 0},
		{`sudo -- echo -n x`, "x", 0},
		{`sudo echo -u x`, "-u x\n", 0},
		{`sudo FOO=bar sh -c 'echo $FOO'`, "bar\n", 0},
		{`sudo FOO='a b' -u root BAR='*' sh -c 'echo "$FOO|$BAR"'`, "a b|*\n", 0},
		{`sudo env FOO=bar sh -c 'echo $FOO'`, "bar\n", 0},
		{`sudo FOO=bar -- sh -c 'echo $FOO'`, "bar\n", 0},
		{`sudo -- FOO=bar true`, "sudo: FOO=bar: command not found\n", 1},
		{`export _x=1 user=me uid=you o=p; sudo sh -c 'echo "$_x$user$uid$o"'`, "1meyoup\n", 0},
		{`sudo sudo -n sudo id -u`, "1000\n", 0},
		{`sudo no-such-command`, "sudo: no-such-command: command not found\n", 1},
		{`sudo ./plain`, "sudo: ./plain: command not found\n", 1},
		{`sudo ./sub`, "sudo: ./sub: command not found\n", 1},
		{`sudo cd /`, "sudo: cd: command not found\n", 1},
		{`sudo ''`, "sudo: : command not found\n", 1},
		{`sudo printf '%s|' 'a b' '*' '' "c'd" '$x'`, `a b|*||c'd|$x|`, 0},
		{`sudo -D sub ls`, "x\n", 0},
		{`sudo --chdir=nowhere ls 2>/dev/null`, "", 1},
		{`sudo -i pwd`, "/home/job\n", 0},
		{`sudo -i echo 'a  b' '*' ';' '$HOME'`, "a  b * ; /home/job\n", 0},
		{`sudo -s echo 'a  b' "c
d"`, "a  b cd\n", 0}, // as the real one: a quoted line end is none
		{`SHELL=/bin/sh sudo -s 'echo x' 2>/dev/null`, "", 127},
		{`echo 'echo from stdin' | sudo -s`, "from stdin\n", 0},
		{`echo 'echo from stdin' | sudo -i`, "from stdin\n", 0},
		{`sudo -b sh -c 'echo x > made'; while [ ! -s made ]; do sleep 0.05; done; cat made`, "x\n", 0},
		{`sudo -k; sudo -K; sudo -v; sudo -nv; sudo --validate --non-interactive && echo fine`, "fine\n", 0},
		{`sudo -l >/dev/null && sudo -ln true && ! sudo -l no-such-command && echo fine`, "/usr/bin/true\nsudo: no-such-command: command not found\nfine\n", 0},
		{`sudo -V | grep -c '^Sudo version 1\.'`, "1\n", 0},
		{`sudo -h | grep -c ^usage`, "3\n", 0},
		{`sudo 2>/dev/null`, "", 1},
		{`sudo -R / true`, "sudo: you are not permitted to use the -R option here\n", 1},
		{`sudo -u`, "sudo: option requires an argument -- 'u'\n", 1},
		{`sudo --user`, "sudo: option '--user' requires an argument\n", 1},
		{`sudo -Z true 2>&1 | tail -1`, "sudo: invalid option -- 'Z'\n", 0},
		{`sudo --zzz true 2>&1 | tail -1`, "sudo: unrecognized option '--zzz'\n", 0},
		{`sudo a-b=c true`, "sudo: a-b: not a name of a variable\n", 1},
		{`EDITOR='cat -n' sudo -e plain`, "     1\tnot a program\n", 0},
		{`PATH=/usr/bin:/bin; sudo_at=/run/zviz/bin/sudo; $sudo_at id -u`, "1000\n", 0},
		{`{ sudo sh -c 'kill -9 $$'; } 2>/dev/null`, "", 137},
	}
	// The machine's sh, and what it is elsewhere.
	for _, shell := range []string{"", "bash --posix", "dash", "busybox sh", "mksh", "ksh", "yash"} {
		if _, err := exec.LookPath(strings.SplitN(shell+" ", " ", 2)[0]); err != nil && shell != "" {
			continue
		}
		t.Run(shell, func(t *testing.T) { b.sudos(t, shell, cases) })
	}
}

// sudoCase is a line of a script, what it prints and its exit code.
type sudoCase struct {
	line, out string
	code      int
}

// sudos runs the cases with the shell that runs sudo; the empty one is its own.
func (b bench) sudos(t *testing.T, shell string, cases []sudoCase) {
	t.Helper()
	var script strings.Builder
	if shell != "" {
		fmt.Fprintf(&script, "sudo() { %s /run/zviz/bin/sudo \"$@\"; }\n", shell)
	}
	script.WriteString("sudo true 2>/dev/null\n") // the note
	for i, c := range cases {
		fmt.Fprintf(&script, "( %s\n) >out.%d 2>&1; echo $? >code.%d; rm -f made\n", c.line, i, i)
	}
	if out, _, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, script.String()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i, c := range cases {
		out, err := os.ReadFile(filepath.Join(b.work, "out."+strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		code, err := os.ReadFile(filepath.Join(b.work, "code."+strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		if string(out) != c.out || string(code) != strconv.Itoa(c.code)+"\n" {
			t.Errorf("%s: got %q and %q, want %q and %d", c.line, out, code, c.out, c.code)
		}
	}
}

// TestSudoSaysOnce a job, also if it is called many times at once.
func TestSudoSaysOnce(t *testing.T) {
	b := newBench(t)
	for range 3 {
		out, _, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, "exec 2>&1; sudo -v; for i in 1 2 3 4 5 6 7 8; do sudo true & done; wait; sudo echo end")
		if err != nil || strings.Count(out, sudoNote) != 1 || !strings.HasSuffix(out, "end\n") {
			t.Errorf("%q, %v", out, err)
		}
	}
}

// TestSudoAsTheCommand: exec -- sudo.
func TestSudoAsTheCommand(t *testing.T) {
	b := newBench(t)
	var out, said bytes.Buffer
	report, err := b.x.Exec(t.Context(), executor.Request{
		Policy: executor.Policy{NoNetwork: true}, Args: []string{"sudo", "-u", "root", "sh", "-c", "id -u; exit 9"}, Dir: b.work, Stdout: &out, Stderr: &said,
	})
	if err != nil || report.ExitCode != 9 || out.String() != "1000\n" || said.String() != sudoNote+" (uid 1000)\n" {
		t.Errorf("%v, %d, %q, %q", err, report.ExitCode, out.String(), said.String())
	}
}

// TestSudoOfCell: the steps of a job are told once.
func TestSudoOfCell(t *testing.T) {
	cell := openCell(t, executor.CellRequest{})
	out, res := step(t, cell, "exec 2>&1; sudo id -u")
	if res.ExitCode != 0 || out != sudoNote+" (uid 1001)\n1001\n" {
		t.Errorf("%d, %q", res.ExitCode, out)
	}
	if out, _ = step(t, cell, "sudo id -u"); out != "1001\n" {
		t.Errorf("the second step: %q", out)
	}
	if got := cell.LookPath("sudo", nil); got != "/run/zviz/bin/sudo" {
		t.Errorf("found %q", got)
	}
}

// TestSudoOfHost covers the machine's own, which could do nothing but fail. It is
// put there in a mount namespace of its own: nobody else sees it.
func TestSudoOfHost(t *testing.T) {
	if os.Getenv("ZVIZ_TEST_OWN_MOUNTS") == "" {
		testenv.NeedRoot(t)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		script := `cd "$1"; mkdir host; mount -t tmpfs none host; mkdir host/up host/work host/up/bin
			printf '#!/bin/sh\necho the real one' > host/up/bin/sudo; chmod 4755 host/up/bin/sudo
			mount -t overlay -o lowerdir=/usr,upperdir=host/up,workdir=host/work none /usr
			exec "$0" -test.run='^TestSudoOfHost$' -test.count=1 -test.v`
		cmd := exec.CommandContext(t.Context(), testenv.NeedTool(t, "unshare"), "--mount", "sh", "-ec", script, self, t.TempDir())
		cmd.Env = append(os.Environ(), "ZVIZ_TEST_OWN_MOUNTS=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestSudoOfHost") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	b := newBench(t)
	if out, err := exec.CommandContext(t.Context(), "/usr/bin/sudo").Output(); err != nil || string(out) != "the real one\n" {
		t.Fatalf("the scene is not there: %q, %v", out, err)
	}
	out, _, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, "sudo true 2>/dev/null; /usr/bin/sudo echo a; /bin/sudo echo b; PATH=/usr/bin:/bin; sudo echo c")
	if err != nil || out != "a\nb\nc\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestSudoOfFolder: a root file system with a sudo of its own and one without, as
// they are and as the job's root.
func TestSudoOfFolder(t *testing.T) {
	b := newBench(t)
	for _, own := range []bool{false, true} {
		root := smallRoot(t)
		if own {
			if err := os.WriteFile(filepath.Join(root, "usr/bin/sudo"), []byte("#!/bin/sh\necho the real one\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(root, "usr/bin/sudo"), 0o4755); err != nil {
				t.Fatal(err)
			}
		}
		script, want := "exec 2>&1; sudo sh -c 'echo a'; sudo id -u", "a\n"
		if own {
			script, want = script+"; /usr/bin/sudo sh -c 'echo b'; /bin/sudo -n sh -c 'echo c'; PATH=/bin; sudo sh -c 'echo d'", want+"%[1]d\nb\nc\nd\n"
		} else {
			want += "%[1]d\n"
		}
		for profile, uid := range map[string]int{"ci": 1000, "root": 0} {
			out, _, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true, Profile: profile, Rootfs: root}}, script)
			if want := sudoNote + fmt.Sprintf(" (uid %d)\n", uid) + fmt.Sprintf(want, uid); err != nil || out != want {
				t.Errorf("own %t, %s: %q, want %q, %v", own, profile, out, want, err)
			}
		}
	}
}
