// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

// leaky has a function with a breakpoint's name, a value to look at and a leak.
const leaky = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
void *volatile kept;
int inner(int n) { return n * 2; }
int main(int argc, char **argv) {
	if (argc > 1 && !strcmp(argv[1], "wait")) { puts("waiting"); fflush(stdout); for (;;) pause(); }
	if (argc > 1 && !strcmp(argv[1], "crash")) abort();
	kept = malloc(1234); kept = 0;
	printf("%d\n", inner(21));
	return 0;
}
`

// compile builds a program of the workspace on the host.
func (b bench) compile(t *testing.T, out, flags string) {
	t.Helper()
	b.write(t, "leaky.c", leaky)
	cmd := exec.CommandContext(t.Context(), testenv.NeedTool(t, "gcc"), append(strings.Fields(flags), "-O0", "-g", "-o", filepath.Join(b.work, out), filepath.Join(b.work, "leaky.c"))...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// TestDebuggers: gdb starts, stops, steps, attaches and reads; under ci it does not.
func TestDebuggers(t *testing.T) {
	testenv.NeedTool(t, "gdb")
	b := newBench(t)
	b.compile(t, "leaky", "")
	const script = `exec 2>&1
		gdb -nx -batch -ex 'break inner' -ex run -ex 'print n' -ex 'info threads' -ex finish -ex 'set var kept = 0' -ex 'info proc mappings' -ex continue ./leaky
		./leaky wait >said & until grep -q waiting said; do sleep 0.05; done
		gdb -nx -batch -p $! -ex 'print kept' -ex detach; kill $!
		gdb -nx -batch -ex run -ex bt --args ./leaky crash`
	policy := executor.Policy{NoNetwork: true, Profile: "debug"}
	out, _, err := b.run(t, executor.Request{Policy: policy}, script)
	for _, want := range []string{"Breakpoint 1, inner (n=21)", "$1 = 21", "Value returned is $2 = 42", "[heap]", "42\n", "$1 = (void * volatile) 0x0", "Program received signal SIGABRT", " main (argc=2"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	if err != nil || t.Failed() {
		t.Errorf("%v: %s", err, out)
	}
	policy.Profile = "ci"
	if out, _, err = b.run(t, executor.Request{Policy: policy}, "gdb -nx -batch -ex 'break inner' -ex run -ex 'print n' ./leaky 2>&1"); err != nil || strings.Contains(out, "$1 = 21") {
		t.Errorf("under ci: %v: %s", err, out)
	}
}

// TestLeakSanitizer finds the leak, and under ci is told not to look, since it
// would end every program.
func TestLeakSanitizer(t *testing.T) {
	b := newBench(t)
	b.compile(t, "leaky", "-fsanitize=address")
	b.compile(t, "alone", "-fsanitize=leak")
	for _, tt := range []struct {
		profile, program string
		leak             bool
	}{{"debug", "leaky", true}, {"debug", "alone", true}, {"ci", "leaky", false}} {
		out, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true, Profile: tt.profile}}, "./"+tt.program+" 2>&1")
		if leak := strings.Contains(out, "LeakSanitizer: detected memory leaks") && strings.Contains(out, "1234 byte(s)"); err != nil || leak != tt.leak || (report.ExitCode != 0) != tt.leak {
			t.Errorf("%s, %s: %v, %d: %s", tt.profile, tt.program, err, report.ExitCode, out)
		}
	}
}

// TestStraceAttaches to a process that runs already, with its children, and counts.
func TestStraceAttaches(t *testing.T) {
	testenv.NeedTool(t, "strace")
	b := newBench(t)
	out, _, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true, Profile: "debug"}}, `exec 2>&1
		sh -c 'until [ -e go ]; do sleep 0.05; done; sh -c "exec cat leaf"' & pid=$!
		strace -f -e trace=openat,execve -o trace -p $pid & tracer=$!
		until grep -q 'execve.*sleep' trace; do sleep 0.05; done
		echo leaf >leaf; : >go; wait $pid; wait $tracer; grep -c 'openat.*"leaf"' trace
		strace -c -o counts ls >/dev/null; grep -c openat counts
		strace -e inject=unlinkat:error=EPERM rm leaf 2>&1 | grep -c INJECTED; ls leaf`)
	if err != nil || !strings.HasSuffix(out, "\n1\n1\n1\nleaf\n") {
		t.Errorf("%v: %s", err, out)
	}
}
