// SPDX-License-Identifier: Apache-2.0

// Command table makes every row of the published table of attempts in zviz-runner,
// under the profiles ci and hostile, and prints by class how they ended. It exits 1
// if one escaped or ended in a way that nobody wanted.
//
//	go run ./internal/attack/table -runner bin/zviz-runner
//	go run ./internal/attack/table -runner bin/zviz-runner -json
//	go run ./internal/attack/table -runner bin/zviz-runner -peers
//	go run ./internal/attack/table -runner bin/zviz-runner -user
//
// Most attempts need a place of their own, with a policy, limits, files or another
// job, which the tests make. So it runs these tests against the runner first, and
// reads what each attempt said in their log; what needs no place it makes itself
// too. A row without an outcome is there with the reason.
//
// With -user the runner is an ordinary user's, by internal/testuser; what stops an
// attempt then is what attack.Differences says, where it differs. Without the
// sandbox the attempts are root's all the same.
//
// With -peers it prints the same for other sandboxes that are installed, as
// their users start them; see peers.go. ZVIZ_PEER_SECCOMP=FILE gives containers
// the list of system calls of a file in Docker's form. An attempt whose success would do harm
// is made in zviz-runner only.
//
// Its own attempts it makes in mount, net, ipc and uts namespaces of its own with a
// /usr/local that is thrown away, so that an attempt which succeeds as root does
// not reach the machine. Needs root and unshare(1).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/zviz/run/internal/attack"
)

func main() {
	os.Exit(run(context.Background(), os.Args, os.Stdout, os.Stderr))
}

// options are the command line.
type options struct {
	runner, catalogue string
	peers, verbose    bool
	json, user        bool
	program, suite    string // what makes one attempt, and the file of the tests; named once we are in the namespaces
	become            string // what becomes the user; named then too
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("table", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.runner, "runner", "bin/zviz-runner", "the runner to attack")
	flags.StringVar(&o.catalogue, "catalogue", defaultCatalogue(), "cases.tsv, the list of what can be attempted; optional")
	flags.BoolVar(&o.peers, "peers", false, "attack the other sandboxes that are installed too")
	flags.BoolVar(&o.verbose, "v", false, "print each attempt")
	flags.BoolVar(&o.json, "json", false, "print one JSON object a row")
	flags.BoolVar(&o.user, "user", false, "run the runner as an ordinary user")
	flags.StringVar(&o.program, "program", "", "set by the program itself")
	flags.StringVar(&o.suite, "suite", "", "set by the program itself")
	flags.StringVar(&o.become, "become", "", "set by the program itself")
	if err := flags.Parse(args[1:]); err != nil {
		return 2
	}
	if o.user && o.peers {
		fmt.Fprintln(stderr, "error: -user and -peers: peers run as root")
		return 2
	}
	if o.program == "" {
		return o.isolate(ctx, args[1:], stdout, stderr)
	}
	good, err := o.tables(ctx, stdout)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 2
	case !good:
		return 1
	default:
		return 0
	}
}

// defaultCatalogue is where the list lies beside the repository.
func defaultCatalogue() string {
	dir := os.Getenv("ZVIZ_CONFORMANCE")
	if dir == "" {
		dir = filepath.Join("..", "shared", "conformance")
	}
	return filepath.Join(dir, "escape", "cases.tsv")
}

// isolate builds the program that makes the attempts, runs the tests, and starts
// this one again in namespaces of its own.
func (o options) isolate(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	code, err := o.restart(ctx, args, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 2
	}
	return code
}

func (o options) restart(ctx context.Context, args []string, stdout, stderr io.Writer) (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("/var/tmp", "zviz-attack-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, become := filepath.Join(dir, "attack"), filepath.Join(dir, "become")
	for out, pkg := range map[string]string{program: "internal/attack/program", become: "internal/testuser/become"} {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, module+pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("go build: %w\n%s", err, text)
		}
	}
	suite := filepath.Join(dir, "suite")
	fmt.Fprintln(stderr, "running the tests that make attempts; some minutes")
	if err := runSuite(ctx, o.runner, suite, o.user); err != nil {
		return 0, err
	}

	// What is installed in /usr/local/bin, as peers often are, stays within reach.
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return 0, err
	}
	const prepare = `if test -d /usr/local/bin; then mount --bind -o ro /usr/local/bin "$0"; fi
		mount -t tmpfs none /usr/local && { ip link set lo up 2>/dev/null || true; } && exec "$@"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{
		"--mount", "--net", "--ipc", "--uts", "--", "sh", "-ec", prepare, bin, self, "-program", program, "-suite", suite, "-become", become,
	}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+bin)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(e.ExitCode(), 1), nil
	}
	return 0, err
}

// tables prints one table for each sandbox and reports whether ours held.
func (o options) tables(ctx context.Context, out io.Writer) (good bool, err error) {
	runner, err := filepath.Abs(o.runner)
	if err != nil {
		return false, err
	}
	s, err := newScene(o.program)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if o.user {
		if err := s.asUser(o.become, runner); err != nil {
			return false, err
		}
		runner = s.user.Runner
	}
	file, err := os.Open(o.suite)
	if err != nil {
		return false, err
	}
	defer file.Close() //nolint:errcheck // only read
	tested, err := readSuite(file)
	if err != nil {
		return false, err
	}
	cases, err := attack.ReadCases(o.catalogue)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}

	good = true
	for _, profile := range profiles() {
		b := runnerBox(runner, profile)
		if o.user {
			b.name, b.user = b.name+", as an ordinary user", true
		}
		direct := s.all(ctx, b)
		t := newTable(b, cases, direct, tested)
		if o.json {
			err = t.json(out)
		} else {
			t.print(out, o.verbose)
		}
		if err != nil {
			return false, err
		}
		good = good && t.good()
		if o.peers && !o.json {
			printAttempts(out, b, direct, false)
		}
	}
	if !o.peers {
		return good, nil
	}
	peers, err := s.peers()
	if err != nil {
		return false, err
	}
	for _, b := range peers {
		if b.missing == "" {
			b.missing = s.works(ctx, b)
		}
		if b.missing != "" {
			if !o.json {
				fmt.Fprintf(out, "%s: not run: %s\n\n", b.name, b.missing)
			}
			continue
		}
		rows := s.all(ctx, b)
		if !o.json {
			printAttempts(out, b, rows, o.verbose)
		} else if err := printJSON(out, b, rows); err != nil {
			return false, err
		}
	}
	return good, nil
}

// works returns why a sandbox cannot be measured, empty if it can: the first
// thing that every build needs must work in it.
func (s *scene) works(ctx context.Context, b box) string {
	a, ok := attack.ByID("ok-01")
	if !ok {
		return "bug: no attempt ok-01"
	}
	if r := s.make(ctx, b, a); r.End != attack.Works {
		return r.Why
	}
	return ""
}
