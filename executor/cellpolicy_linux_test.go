// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// connectedCell opens a cell whose network leads to a server of the test's: every
// name is there.
func connectedCell(t *testing.T, p egress.Policy) (cell *executor.Cell, requests func() int) {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "curl")
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
			return
		}
		fmt.Fprintf(w, "hello from %s", r.Host)
	}))
	t.Cleanup(server.Close)
	p.Upstream.Hosts = map[string]string{}
	for _, name := range []string{"one.test", "two.test", "evil.test"} {
		p.Upstream.Hosts[name] = server.Listener.Addr().String()
	}
	state, err := os.MkdirTemp("/var/tmp", "zviz-cell") //nolint:usetesting // the sandbox has a /tmp of its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	x, err := executor.New(executor.Config{StateDir: state, Environ: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	cell, err = x.OpenCell(t.Context(), executor.CellRequest{Policy: executor.Policy{Egress: p}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cell.Close(); err != nil {
			t.Error(err)
		}
	})
	return cell, func() int { return int(n.Load()) }
}

func namedStep(t *testing.T, cell *executor.Cell, name, script string) (string, sandbox.Result, error) {
	t.Helper()
	var out buffer
	res, err := cell.Run(t.Context(), executor.Step{
		As: egress.StepName{Name: name}, Args: []string{"sh", "-c", script}, Dir: executor.RunnerWork, Stdout: &out, Stderr: &out,
	})
	return out.String(), res, err
}

// A step has its own policy, and what an earlier one left running does not get it.
func TestCellStepPolicies(t *testing.T) {
	cell, _ := connectedCell(t, egress.Policy{
		Rules: []egress.Rule{{Host: "evil.test"}},
		Steps: []egress.StepPolicy{
			{Match: "name=First*", Rules: []egress.Rule{{Host: "one.test"}}},
			{Match: "name=Second", Rules: []egress.Rule{{Host: "two.test"}}},
		},
	})
	// The background process waits for the second step, then tries what that one may.
	out, _, err := namedStep(t, cell, "First of all", `curl -s http://one.test/; curl -s http://two.test/; curl -s http://evil.test/
(while ! test -e go; do sleep 0.05; done; curl -s http://two.test/left >left; curl -s http://one.test/left >>left; touch done) >/dev/null 2>&1 &`)
	if err != nil || out != "hello from one.test" {
		t.Errorf("first: %q, %v", out, err)
	}
	out, _, err = namedStep(t, cell, "Second", `touch go; while ! test -e done; do sleep 0.05; done; curl -s http://two.test/; cat left`)
	if err != nil || out != "hello from two.test" {
		t.Errorf("second, and what the first left: %q, %v", out, err)
	}
	var left, right bool
	for _, e := range cell.Events() {
		if e.Step != "First of all" && e.Step != "Second" {
			t.Errorf("event without its step: %+v", e)
		}
		left = left || e.Verdict == egress.VerdictDeny && e.Host == "two.test" && e.Step == "Second" && e.PID != 0
		right = right || e.Verdict == egress.VerdictAllow && e.Host == "two.test" && e.Step == "Second"
	}
	if !left || !right {
		t.Errorf("events %+v", cell.Events())
	}
	// A step that no item matches has what stands above.
	if out, _, err := namedStep(t, cell, "Third", `curl -s http://evil.test/; curl -s http://two.test/`); err != nil || out != "hello from evil.test" {
		t.Errorf("third: %q, %v", out, err)
	}
}

// The report has what was only counted, and what a step left under way.
func TestCellReportIsWhole(t *testing.T) {
	cell, requests := connectedCell(t, egress.Policy{Rules: []egress.Rule{{Host: "one.test"}}})
	if _, _, err := namedStep(t, cell, "left", `curl -s http://one.test/wait >/dev/null 2>&1 &`); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); requests() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no request came")
		}
	}
	if _, _, err := namedStep(t, cell, "many", `curl -s --resolve evil.test:80:192.0.2.1 http://evil.test/a http://evil.test/a http://evil.test/a`); err != nil {
		t.Fatal(err)
	}
	rep := cell.Report()
	waits, denied := 0, 0
	for _, e := range rep.Egress.Events {
		if e.Path == "/wait" && e.Verdict != egress.VerdictDeny {
			waits++
		}
		if e.Path == "/a" && e.Verdict == egress.VerdictDeny {
			denied += max(e.Count, 1)
		}
	}
	if waits != 1 || denied != 3 || !rep.Egress.Complete {
		t.Errorf("the one under way %d times, %d of 3 refusals, complete %v: %+v", waits, denied, rep.Egress.Complete, rep.Egress.Events)
	}
}

func TestCellOnDeny(t *testing.T) {
	for _, onDeny := range []egress.OnDeny{egress.FailStep, egress.FailJob} {
		t.Run(string(onDeny), func(t *testing.T) {
			cell, requests := connectedCell(t, egress.Policy{
				OnDeny: onDeny, Rules: []egress.Rule{{Host: "one.test"}}, ExpectDenied: []string{"two.test"},
			})
			if out, _, err := namedStep(t, cell, "quiet", `curl -s http://two.test/; curl -s http://one.test/`); err != nil || out != "hello from one.test" {
				t.Errorf("expected refusals end nothing: %q, %v", out, err)
			}
			out, res, err := namedStep(t, cell, "loud", `curl -s http://evil.test/; sleep 60; echo late`)
			d, ok := errors.AsType[*executor.DeniedError](err)
			if !ok || d.Event.Host != "evil.test" || res.Cause != sandbox.CauseCancelled || strings.Contains(out, "late") {
				t.Errorf("got %q, %+v, %v", out, res, err)
			}
			out, _, err = namedStep(t, cell, "next", `echo ran`)
			if ran := err == nil && out == "ran\n"; ran != (onDeny == egress.FailStep) {
				t.Errorf("the next step: %q, %v", out, err)
			}
			if requests() != 1 {
				t.Errorf("the outside got %d requests", requests())
			}
		})
	}
}
