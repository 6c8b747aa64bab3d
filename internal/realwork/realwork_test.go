// SPDX-License-Identifier: Apache-2.0

//go:build linux

package realwork_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zviz/run/internal/realwork"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/internal/testuser"
)

var update = flag.Bool("update", false, "write docs/real-work.md")

// table is where the rows are published; its check keeps it true.
const table = "../../docs/real-work.md"

// perStep bounds one command: better-sqlite3 takes three minutes on two busy cores.
const perStep = 15 * time.Minute

func TestRealWork(t *testing.T) {
	if os.Getenv("ZVIZ_REALWORK") != "1" && !*update {
		t.Skip("takes ten minutes: make realwork")
	}
	testenv.NeedRoot(t)
	testenv.NeedLandlock(t, 2)
	w := world{runner: testenv.Build(t, "github.com/zviz/run/cmd/zviz-runner")}
	if os.Getenv("ZVIZ_REALWORK_USER") == "1" {
		w.become(t)
	}
	headers := nodeHeaders(t)

	var rows []row
	for _, l := range realwork.Loads(headers) {
		t.Run(l.Name, func(t *testing.T) {
			if missing := missingTools(l.Tools); len(missing) > 0 {
				for _, s := range l.Steps {
					rows = append(rows, row{l.Name, s.Shell(), "not tried", "not tried"})
				}
				t.Skipf("not installed: %s", strings.Join(missing, ", "))
			}
			if w.user != nil {
				w.runAsUser(t, l)
				return
			}
			rows = append(rows, w.run(t, l)...)
		})
	}
	switch {
	case w.user != nil: // each row is compared by then
	case *update:
		write(t, rows)
	default:
		compare(t, rows)
	}
}

// world is who runs the runner.
type world struct {
	runner string
	user   *testuser.User // nil: root
}

// row is one line of the published table.
type row struct{ load, command, native, inside string }

func (r row) String() string {
	return fmt.Sprintf("| %s | `%s` | %s | %s |", r.load, strings.ReplaceAll(r.command, "|", `\|`), r.native, r.inside)
}

// run does a load natively and inside at the same time: both are mostly one
// compiler, and CI has two cores.
func (w world) run(t *testing.T, l realwork.Load) []row {
	t.Helper()
	native, inside := newPlace(t, l, t.TempDir()), newPlace(t, l, t.TempDir())
	inside.runner, inside.cache = w.runner, filepath.Join(inside.work, ".cache")
	native.cache = filepath.Join(native.work, ".cache")
	// Natively the host's own build cache saves minutes and proves as much.
	if out, err := exec.Command("go", "env", "GOCACHE").Output(); err == nil {
		native.cache = strings.TrimSpace(string(out))
	}
	nativeResults, insideResults := make([]result, len(l.Steps)), make([]result, len(l.Steps))
	var wait sync.WaitGroup
	wait.Go(func() { native.all(t.Context(), l, nativeResults) })
	wait.Go(func() { inside.all(t.Context(), l, insideResults) })
	wait.Wait()

	rows := make([]row, 0, len(l.Steps))
	for i, s := range l.Steps {
		n, in := nativeResults[i], insideResults[i]
		rows = append(rows, row{l.Name, s.Shell(), n.word(s), in.word(s)})
		t.Logf("%-40.40s natively %s (%.1f s), inside %s (%.1f s)", s.Shell(), n.word(s), n.took.Seconds(), in.word(s), in.took.Seconds())
		switch {
		case n.word(s) != "works":
			t.Errorf("%s: fails natively too: exit code %d\n%s", s.Shell(), n.code, tail(n.output))
		case in.word(s) != "works":
			t.Errorf("%s: works natively; inside exit code %d, want %d, output %q wanted\n%s", s.Shell(), in.code, s.Code, s.Want, tail(in.output))
		}
	}
	return rows
}

// place is a folder with the load's files, a home, and how commands run there.
type place struct {
	work, home, cache string
	path              string
	runner            string // empty: natively
}

func newPlace(t *testing.T, l realwork.Load, dir string) place {
	t.Helper()
	p := place{work: filepath.Join(dir, "work"), home: t.TempDir(), path: os.Getenv("PATH")}
	if err := os.Mkdir(p.work, 0o755); err != nil {
		t.Fatal(err)
	}
	if l.Files != "" {
		if err := os.CopyFS(p.work, os.DirFS(filepath.Join("testdata", l.Files))); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

type result struct {
	tried  bool
	code   int
	output string
	took   time.Duration
}

func (r result) word(s realwork.Step) string {
	switch {
	case !r.tried:
		return "not tried"
	case r.code == s.Code && strings.Contains(r.output, s.Want):
		return "works"
	default:
		return "fails"
	}
}

// all runs the steps until one fails; those after it would only fail with it.
func (p place) all(ctx context.Context, l realwork.Load, results []result) {
	for i, s := range l.Steps {
		results[i] = p.step(ctx, s)
		if results[i].word(s) != "works" {
			return
		}
	}
}

func (p place) step(ctx context.Context, s realwork.Step) result {
	ctx, cancel := context.WithTimeout(ctx, perStep)
	defer cancel()
	env := make([]string, len(s.Env))
	for i, variable := range s.Env {
		env[i] = strings.NewReplacer("$WORK", p.work, "$CACHE", p.cache).Replace(variable)
	}

	args := s.Command
	var environ []string
	if p.runner == "" {
		environ = append([]string{"PATH=" + p.path, "HOME=" + p.home, "LANG=C.UTF-8", "TERM=dumb", "CI=true"}, env...)
	} else {
		args = []string{p.runner, "exec"}
		if !s.Network {
			args = append(args, "--no-network")
		}
		for _, variable := range env {
			args = append(args, "-e", variable)
		}
		args = append(append(args, "--"), s.Command...)
		environ = append(os.Environ(), "PATH="+p.path)
	}

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = p.work, environ
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	begin := time.Now()
	err := cmd.Run()
	r := result{tried: true, output: output.String(), took: time.Since(begin)}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status, _ := exit.Sys().(syscall.WaitStatus)
		r.code = status.ExitStatus()
		if status.Signaled() {
			r.code = 128 + int(status.Signal())
		}
	} else if err != nil {
		r.code, r.output = -1, err.Error()
	}
	return r
}

func missingTools(tools []string) []string {
	return slices.DeleteFunc(slices.Clone(tools), func(tool string) bool {
		_, err := exec.LookPath(tool)
		return err == nil
	})
}

// nodeHeaders finds the folder whose include/node is of the installed version.
func nodeHeaders(t *testing.T) string {
	t.Helper()
	node := testenv.NeedTool(t, "node")
	version, err := exec.Command(node, "-p", "process.versions.node").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{filepath.Dir(filepath.Dir(node)), "/usr", "/usr/local"} {
		text, err := os.ReadFile(filepath.Join(prefix, "include/node/node_version.h"))
		if err != nil {
			continue
		}
		have := make(map[string]string)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "#define" {
				have[f[1]] = f[2]
			}
		}
		if have["NODE_MAJOR_VERSION"]+"."+have["NODE_MINOR_VERSION"]+"."+have["NODE_PATCH_VERSION"] == strings.TrimSpace(string(version)) {
			return prefix
		}
	}
	t.Fatalf("no headers of Node %s are installed (include/node/node_version.h)", version)
	return ""
}

func tail(s string) string {
	const most = 3000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

const (
	begin = "<!-- rows: begin; written by `go test ./internal/realwork -update` -->\n"
	end   = "<!-- rows: end -->\n"
)

// write puts the rows into the document.
func write(t *testing.T, rows []row) {
	t.Helper()
	before, _, after := split(t)
	var text strings.Builder
	text.WriteString("| load | command | natively | inside |\n|---|---|---|---|\n")
	for _, r := range rows {
		text.WriteString(r.String() + "\n")
	}
	if err := os.WriteFile(table, []byte(before+begin+text.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compare wants the published rows, where this machine could try them.
func compare(t *testing.T, rows []row) {
	t.Helper()
	_, published, _ := split(t)
	for _, r := range rows {
		if r.native != "not tried" && !strings.Contains(published, r.String()+"\n") {
			t.Errorf("docs/real-work.md lacks the row\n%s\nrun the test with -update", r)
		}
	}
}

func split(t *testing.T) (before, rows, after string) {
	t.Helper()
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	rows, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no marks around its rows", table)
	}
	return before, rows, after
}
