// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/zviz/run/internal/attack"
)

const module = "github.com/zviz/run/"

// attemptTests are the tests that make attempts. Each has a subtest of the
// attempt's name, and says in attributes of the log what the attempt said.
func attemptTests() []string {
	var names []string
	for _, name := range []string{"TestAttempts", "TestKernelAttempts", "TestFileRows", "TestByTest", "TestLimits"} {
		names = append(names, "internal/attack."+name)
	}
	return names
}

// runSuite runs the tests of all rows against a runner, and writes into a file
// what go test -json says. The runner is root's or an ordinary user's.
func runSuite(ctx context.Context, runner, file string, user bool) (err error) {
	runner, err = filepath.Abs(runner)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	names := attemptTests()
	for _, e := range elsewheres(user) {
		if e.Test != "" {
			names = append(names, e.Test)
		}
	}
	var packages, patterns []string
	for _, name := range names {
		folder, test, _ := strings.Cut(name, ".")
		packages = append(packages, module+folder)
		var pattern []string
		for part := range strings.SplitSeq(test, "/") {
			pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
		}
		patterns = append(patterns, strings.Join(pattern, "/"))
	}
	slices.Sort(packages)
	slices.Sort(patterns)
	args := []string{"test", "-json", "-count=1", "-p=1", "-timeout=20m", "-run", strings.Join(slices.Compact(patterns), "|")}
	cmd := exec.CommandContext(ctx, "go", append(args, slices.Compact(packages)...)...)
	cmd.Env = append(os.Environ(), "ZVIZ_ATTACK_RUNNER="+runner)
	if user {
		cmd.Env = append(cmd.Env, "ZVIZ_ATTACK_USER=1")
	}
	var problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &problem
	failed := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](failed); failed != nil && !ok {
		return fmt.Errorf("go test: %w", failed)
	}
	// A test that failed is shown by its row. Without any test there are no rows.
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return err
	}
	said, err := io.ReadAll(out)
	if err == nil && failed != nil && !bytes.Contains(said, []byte(`"Test":`)) {
		err = fmt.Errorf("go test: %w\n%s%s", failed, said, problem.Bytes())
	}
	return err
}

// suite is what the tests said.
type suite struct {
	tests map[string]*test // by folder, name and names of subtests: "executor.TestX/ci"
	said  map[said]string  // the lines of each attempt, joined by newlines
}

// said is who said something.
type said struct{ profile, id string }

type test struct {
	action string // pass, fail, skip; empty if it did not end
	output []string
	parent bool // has subtests
	inner  bool // has subtests that failed
}

// readSuite reads what go test -json wrote (test2json(1)).
func readSuite(in io.Reader) (suite, error) {
	s := suite{tests: map[string]*test{}, said: map[said]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct{ Action, Package, Test, Key, Value, Output string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return s, fmt.Errorf("go test -json: %w: %q", err, lines.Bytes())
		}
		if e.Test == "" {
			continue
		}
		name := strings.TrimPrefix(e.Package, module) + "." + e.Test
		t := s.tests[name]
		if t == nil {
			t = &test{}
			s.tests[name] = t
		}
		switch e.Action {
		case "pass", "fail", "skip":
			t.action = e.Action
		case "attr":
			if f := strings.Split(e.Key, ":"); len(f) == 3 && f[0] == "attack" {
				who := said{f[1], f[2]}
				s.said[who] += e.Value + "\n"
			}
		case "output":
			t.output = append(t.output, e.Output)
		}
	}
	for name, t := range s.tests {
		for i := len(name) - 1; i > 0; i-- {
			if parent := s.tests[name[:i]]; name[i] == '/' && parent != nil {
				parent.parent = true
				parent.inner = parent.inner || t.action != "pass" && t.action != "skip"
			}
		}
	}
	return s, lines.Err()
}

// failed reports whether a test failed by itself, and not only a part of it. A
// test that did not end did.
func (t *test) failed() bool { return t.action != "pass" && t.action != "skip" && !t.inner }

// why is the first line that a test logged about its end.
func (t *test) why() string {
	for _, line := range t.output {
		if _, text, ok := strings.Cut(line, "_test.go:"); ok {
			_, text, _ = strings.Cut(text, ": ")
			return strings.TrimSpace(text)
		}
	}
	if t.action == "" {
		return "it did not end"
	}
	return "it says no reason"
}

// parts are the name of a test and those of its subtests.
func parts(name string) []string {
	_, path, _ := strings.Cut(name, ".")
	return strings.Split(path, "/")
}

// under returns the names of the tests whose path has a part, in order, but for
// those of another profile.
func (s suite) under(profile string, has func(parts []string) bool) []string {
	var names []string
	for name := range s.tests {
		parts := parts(name)
		other := slices.ContainsFunc(profiles(), func(p string) bool { return p != profile && slices.Contains(parts, p) })
		if !other && has(parts) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// attempt is what became of an attempt under a profile in the tests.
func (s suite) attempt(a attack.Attempt, profile string) row {
	r := row{ID: a.ID, What: a.What, End: attack.NotRun, Why: "no test made it under this profile"}
	for line := range strings.Lines(s.said[said{profile, a.ID}]) {
		line = strings.TrimSpace(line)
		r = worse(r, row{ID: a.ID, What: a.What, End: a.Judge(profile, attack.Outcome(line)), Why: line})
	}
	if r.End == attack.Escaped || r.End == attack.Wrong {
		return r
	}
	names := s.under(profile, func(parts []string) bool { return slices.Contains(parts, a.ID) })
	for _, name := range names {
		switch t := s.tests[name]; {
		case t.failed() && !s.elsewhereWrong(a, profile):
			return row{ID: a.ID, What: a.What, End: attack.Wrong, Why: name + ": " + t.why()}
		case t.action == "skip" && r.End == attack.NotRun:
			r.Why = t.why()
		}
	}
	if len(names) == 0 && r.End == attack.NotRun {
		// Of a whole test, as without root.
		for _, name := range attemptTests() {
			if t := s.tests[name]; t != nil && t.action == "skip" {
				r.Why = t.why()
			}
		}
	}
	return r
}

// elsewhereWrong reports whether the attempt went wrong under another profile: a
// test that makes it under both failed because of that.
func (s suite) elsewhereWrong(a attack.Attempt, profile string) bool {
	for _, other := range profiles() {
		for line := range strings.Lines(s.said[said{other, a.ID}]) {
			if end := a.Judge(other, attack.Outcome(strings.TrimSpace(line))); other != profile && (end.Bad() || end == attack.NotRun) {
				return true
			}
		}
	}
	return false
}

// elsewhere is what became of a row that a test makes as a whole.
func (s suite) elsewhere(e attack.Elsewhere, profile string) row {
	r := row{ID: e.Row, What: e.Why, End: attack.NotRun, Why: e.Why}
	if e.Test == "" {
		return r
	}
	names := s.under(profile, func([]string) bool { return true })
	own := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !strings.HasPrefix(name, e.Test+"/") || !slices.Contains(parts(name), e.Row)
	})
	r.Why = e.Test + " does not make it under this profile"
	for _, name := range names {
		t := s.tests[name]
		above := strings.HasPrefix(e.Test+"/", name+"/")
		within := strings.HasPrefix(name, e.Test+"/")
		mine := within && len(own) == 0 || slices.Contains(own, name)
		switch {
		case t.failed() && (mine || above || within && t.parent):
			return row{ID: e.Row, What: e.Why, End: attack.Wrong, Why: name + ": " + t.why()}
		case t.action == "skip" && (mine || above) && r.End == attack.NotRun:
			r.Why = t.why()
		case t.action == "pass" && mine && slices.Contains(parts(name), profile):
			r.End, r.Why = attack.Blocked, name+" passed"
		}
	}
	return r
}

// failures are the tests that failed by themselves and are no end of a row: wrong
// has the identifiers of what went wrong, and shown what is said of them.
func (s suite) failures(wrong map[string]bool, shown string) []string {
	var all []string
	for name, t := range s.tests {
		known := slices.ContainsFunc(parts(name), func(part string) bool { return wrong[part] })
		if t.failed() && !known && !strings.Contains(shown, name+": ") {
			all = append(all, name+": "+t.why())
		}
	}
	slices.Sort(all)
	return all
}
