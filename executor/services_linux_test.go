// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

func saying(text string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, text) })
}

// asks lets a step ask the service, also where a proxy is named.
func asks(t *testing.T, cell *executor.Cell) string {
	t.Helper()
	out, _ := step(t, cell, "http_proxy=http://169.254.1.1:3128 curl -sS --max-time 10 "+cell.ServiceURL("results")+"/ 2>&1")
	return out
}

// TestServices: a step reaches what its runner serves, and each job its own.
func TestServices(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "curl")
	state, err := os.MkdirTemp("/var/tmp", "zviz-services") //nolint:usetesting // the sandbox has a /tmp of its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	x, err := executor.New(executor.Config{StateDir: state, Environ: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	var cells []*executor.Cell
	for _, text := range []string{"first", "second"} {
		cell, err := x.OpenCell(t.Context(), executor.CellRequest{Services: []egress.Service{{Name: "results", Handler: saying(text)}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := cell.Close(); err != nil {
				t.Error(err)
			}
		})
		cells = append(cells, cell)
	}
	for i, text := range []string{"first", "second"} {
		if got := asks(t, cells[i]); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	if n := cells[0].Served()["results"]; n != 1 {
		t.Errorf("%d requests", n)
	}
	if cells[0].ServiceURL("other") != "" {
		t.Error("a service that nobody serves has an address")
	}
	_, err = x.OpenCell(t.Context(), executor.CellRequest{Policy: executor.Policy{NoNetwork: true}, Services: []egress.Service{{Name: "results", Handler: saying("x")}}})
	if err == nil || !strings.Contains(err.Error(), "network") {
		t.Errorf("services without a network: %v", err)
	}
}

// TestPoolServices: a cell of a pool serves its job's, and nothing before.
func TestPoolServices(t *testing.T) {
	testenv.NeedTool(t, "curl")
	p, _ := newPool(t, executor.CellRequest{Services: []egress.Service{{Name: "results"}}}, 1)
	filled(t, p)
	for _, text := range []string{"prepared", "late"} {
		cell, err := p.Take(t.Context(), executor.JobRequest{Services: []egress.Service{{Name: "results", Handler: saying(text)}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := asks(t, cell); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
		if err := cell.Close(); err != nil {
			t.Error(err)
		}
	}
	cell, err := p.Take(t.Context(), executor.JobRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := asks(t, cell); !strings.Contains(got, "no job yet") {
		t.Errorf("without a handler: %q", got)
	}
	if err := cell.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Take(t.Context(), executor.JobRequest{Services: []egress.Service{{Name: "other", Handler: saying("x")}}}); err == nil {
		t.Error("a service that the pool does not know")
	}
}
