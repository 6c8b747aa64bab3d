// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// TestMain is this program too: an attempt starts it in the sandbox.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == filepath.Base(ownProgram) {
		os.Exit(Main(System{Args: os.Args, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()}))
	}
	os.Exit(m.Run())
}

// says stands for a sandbox in which an attempt says what it is told to, and
// every other one what is right.
func says(lines map[string]string) func(context.Context, executor.Request) (executor.Report, error) {
	return func(_ context.Context, r executor.Request) (executor.Report, error) {
		id := r.Args[2]
		line, ok := lines[id]
		if a, _ := attack.ByID(id); !ok { //nolint:contextcheck // nothing is made here
			switch {
			case a.Allowed:
				line = "WORKS so"
			case a.LetThrough(r.Policy.Profile):
				line = "ESCAPED on purpose"
			default:
				line = "BLOCKED " + a.Wants(r.Policy.Profile)[0]
			}
		}
		_, err := fmt.Fprintln(r.Stdout, line)
		return executor.Report{Cause: sandbox.CauseExited}, err
	}
}

func TestDoctorAttackJudges(t *testing.T) {
	if len(attack.All()) == 0 {
		t.Skip("attempts need Linux")
	}
	for _, tt := range []struct {
		name  string
		says  map[string]string
		code  int
		print []string
	}{
		{name: "all is well", print: []string{"Nothing escaped.", "let through on purpose: net-02, "}},
		{
			name: "one escapes", says: map[string]string{"ns-01": "ESCAPED a \x1bnamespace"}, code: 1,
			print: []string{"escaped: ns-01, unshare(CLONE_NEWUSER): ESCAPED a \\x1bnamespace\n", "The sandbox does not hold on this machine."},
		},
		{
			name: "one is stopped by something else", says: map[string]string{"ns-01": "BLOCKED EINVAL"}, code: 1,
			print: []string{"wrong: ns-01, unshare(CLONE_NEWUSER): BLOCKED EINVAL; want EPERM\n"},
		},
		{
			name: "a needed thing is refused", says: map[string]string{"ok-05": "REFUSED EACCES"}, code: 1,
			print: []string{"wrong: ok-05, read /dev/zero: REFUSED EACCES\n"},
		},
		{
			name: "one says nothing", says: map[string]string{"ns-01": ""}, code: 1,
			print: []string{"wrong: ns-01, unshare(CLONE_NEWUSER): it said nothing: exited, exit code 0"},
		},
		{
			name: "one cannot be tried", says: map[string]string{"ns-01": "BROKEN mmap: no memory"},
			print: []string{"  BROKEN mmap: no memory\n    ns-01\n"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCmdline(t)
			c.exec = says(tt.says)
			c.run("doctor --attack")
			if c.code != tt.code || c.err != "" {
				t.Errorf("got exit code %d, want %d\n%s", c.code, tt.code, c.err)
			}
			for _, want := range tt.print {
				if !strings.Contains(c.out, want) {
					t.Errorf("no %q in\n%s", want, c.out)
				}
			}
			c.run("doctor --attack --json --profile hostile")
			var got doctorReport
			if err := json.Unmarshal([]byte(c.out), &got); err != nil || c.code != tt.code {
				t.Fatalf("%d %v %s", c.code, err, c.out)
			}
			if ok := tt.code == 0; got.OK != ok || got.Attack.OK != ok || len(got.Attack.Profiles) != 1 {
				t.Errorf("got ok %v %v, %d profiles", got.OK, got.Attack.OK, len(got.Attack.Profiles))
			}
		})
	}
}

// TestDoctorAttackRequest looks at the sandbox of an attempt.
func TestDoctorAttackRequest(t *testing.T) {
	if len(attack.All()) == 0 {
		t.Skip("attempts need Linux")
	}
	c := newCmdline(t)
	var requests []executor.Request
	c.exec = func(ctx context.Context, r executor.Request) (executor.Report, error) {
		requests = append(requests, r)
		return says(nil)(ctx, r)
	}
	c.run("doctor --attack --profile hostile")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		a, ok := attack.ByID(r.Args[2])
		if !ok || a.Harm() != "" || a.Control == attack.ByTest {
			t.Errorf("%v was made", r.Args)
		}
		if _, err := os.Stat(r.Dir); err == nil {
			t.Errorf("%s is left", r.Dir)
		}
		limits, _ := attemptLimits(a.Runner)
		want := executor.Policy{NoNetwork: true, Profile: "hostile", Limits: limits, Mounts: []sandbox.Mount{{Source: self, Target: ownProgram}}}
		if d := cmp.Diff(want, r.Policy); d != "" {
			t.Errorf("%v: %s", r.Args, d)
		}
	}
	if len(requests) < 80 {
		t.Errorf("%d attempts", len(requests))
	}
	if os.Getenv("ATTACK_SECRET") != "" {
		t.Error("the planted variable is left")
	}
}

// TestDoctorAttackFails wants an error, and not a good end, where no attempt
// says anything about the sandbox.
func TestDoctorAttackFails(t *testing.T) {
	if len(attack.All()) == 0 {
		t.Skip("attempts need Linux")
	}
	for _, tt := range []struct {
		name string
		exec func(context.Context, executor.Request) (executor.Report, error)
		want string
	}{
		{
			"the sandbox does not start", func(context.Context, executor.Request) (executor.Report, error) {
				return executor.Report{}, &sandbox.LayerError{Layer: sandbox.LayerNet, Err: errors.New("gone"), Fix: "bring it back"}
			}, "bring it back",
		},
		{
			"this program does not start in it", func(context.Context, executor.Request) (executor.Report, error) {
				return executor.Report{Cause: sandbox.CauseNotStarted, ExitCode: 126}, nil
			}, "this program does not start in the sandbox: exit code 126",
		},
		{
			"nothing could be tried", func(_ context.Context, r executor.Request) (executor.Report, error) {
				_, err := fmt.Fprintln(r.Stdout, "BROKEN")
				return executor.Report{}, err
			}, "no attempt could be made under the profile ci",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCmdline(t)
			c.exec = tt.exec
			c.run("doctor --attack")
			if c.code != 1 || !strings.Contains(c.err, tt.want) {
				t.Errorf("got %d %q, want %q", c.code, c.err, tt.want)
			}
		})
	}
	c := newCmdline(t)
	c.probe = sandbox.Probe{Layers: []sandbox.LayerOffer{{Name: sandbox.LayerNet, Fix: "bring it back"}}}
	c.run("doctor --attack")
	if c.code != 1 || !strings.Contains(c.out, "bring it back") || !strings.Contains(c.err, "no attempt was made") {
		t.Errorf("got %d %q %q", c.code, c.out, c.err)
	}
	if c.request.Args != nil {
		t.Error("an attempt was made without a layer")
	}
}

// leaky is the executor with two holes: the machine's /tmp inside, writable, and
// a secret of ours in the command's environment.
type leaky struct{ runner }

func (l leaky) Exec(ctx context.Context, r executor.Request) (executor.Report, error) {
	if slices.Contains([]string{"fs-06", "pr-12", "ok-01"}, r.Args[2]) {
		r.Policy.Mounts = append(slices.Clone(r.Policy.Mounts), sandbox.Mount{Source: "/tmp", Target: "/tmp", Write: true})
		r.Env = append(r.Env, plantedSecret)
		return l.runner.Exec(ctx, r)
	}
	return says(nil)(ctx, r) // the rest is for the scripts
}

// TestDoctorAttackFindsHoles makes attempts escape from a real sandbox.
func TestDoctorAttackFindsHoles(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.NeedLandlock(t, 2)
	t.Setenv("TMPDIR", "/var/tmp") // the workspace is not below the hole
	c := newCmdline(t)
	c.newRunner = func(cfg executor.Config) (runner, error) {
		x, err := executor.New(cfg)
		return leaky{x}, err
	}
	c.run("doctor --attack --json")
	var got doctorReport
	if err := json.Unmarshal([]byte(c.out), &got); err != nil {
		t.Fatalf("%v\n%s%s", err, c.out, c.err)
	}
	if c.code != 1 || got.OK || got.Attack == nil || len(got.Attack.Profiles) != 2 {
		t.Fatalf("got %d %v\n%s", c.code, got.OK, c.err)
	}
	for _, p := range got.Attack.Profiles {
		var escaped []string
		for _, a := range p.Attempts {
			if a.End.Bad() {
				escaped = append(escaped, a.ID+" "+string(a.End))
			}
		}
		if want := []string{"fs-06 escaped", "pr-12 escaped"}; !slices.Equal(escaped, want) {
			t.Errorf("%s: got %q, want %q", p.Profile, escaped, want)
		}
	}
}
