// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
)

// A planter is this test binary started again: it opens descriptors and becomes
// another program, which inherits them together with an odd environment.
const planterVariable = "ZVIZ_TEST_PLANTER"

func TestMain(m *testing.M) {
	if text := os.Getenv(planterVariable); text != "" {
		fmt.Fprintln(os.Stderr, "planter:", planter(text))
		os.Exit(99)
	}
	os.Exit(m.Run())
}

// plant is what a planter is told.
type plant struct {
	Seed        uint64
	Descriptors int
	Environment [][]byte // not strings: JSON would mend what is not UTF-8
	Args        []string
	Numbers     string // the file to write the numbers to that the program inherits
}

func planter(text string) error {
	var p plant
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	opened, err := testenv.Descriptors(rand.New(rand.NewPCG(p.Seed, 0)), p.Descriptors, 5000)
	if err != nil {
		return err
	}
	var numbers []int
	for _, d := range opened {
		if !d.CloseOnExec {
			numbers = append(numbers, d.Number)
		}
	}
	list, err := json.Marshal(numbers)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.Numbers, list, 0o600); err != nil {
		return err
	}
	var env []string
	for _, kv := range p.Environment {
		env = append(env, string(kv))
	}
	return fmt.Errorf("%s: %w", p.Args[0], unix.Exec(p.Args[0], p.Args, env))
}

// planted is in every variable's value.
const planted = "planted-value-"

// oddEnvironment returns n variables: names that hold secrets or that other
// programs obey, and random ones, some of which no shell would take.
func oddEnvironment(r *rand.Rand, n int) [][]byte {
	names := []string{
		"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
		"NPM_TOKEN", "NODE_AUTH_TOKEN", "npm_config__authToken", "DOCKER_AUTH_CONFIG", "SSH_AUTH_SOCK", "GPG_AGENT_INFO", "KUBECONFIG",
		"GOOGLE_APPLICATION_CREDENTIALS", "VAULT_TOKEN", "DATABASE_URL", "PGPASSWORD", "SUDO_ASKPASS", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT",
		"BASH_ENV", "ENV", "BASH_FUNC_ls%%", "PYTHONPATH", "PYTHONSTARTUP", "NODE_OPTIONS", "PERL5OPT", "GIT_SSH_COMMAND", "GCONV_PATH",
		"HTTPS_PROXY", "http_proxy", "GOFLAGS", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "IFS",
		"", "=", " ", "\n", "\t", "\x01", "\xff\xfe", "a b", "a\nb", "PATH ", "path", "HOME\n", "\u00e4", "-e", "$(id)", "a;b", strings.Repeat("L", 4096),
	}
	for len(names) < n {
		b := make([]byte, 1+r.IntN(24))
		for i := range b {
			b[i] = byte(1 + r.IntN(255)) // all that a C string can hold, '=' too
		}
		names = append(names, string(b))
	}
	var env [][]byte
	for i, name := range names[:n] {
		kv := name + "=" + planted + strconv.Itoa(i) + "."
		if name == " " {
			kv = planted + strconv.Itoa(i) + "." // a variable without '='
		}
		env = append(env, []byte(kv))
	}
	return env
}

// TestNothingIsInherited starts the runner with a thousand descriptors and a
// thousand variables that are not for the job, and shows by the same command
// without the runner that they would reach it.
func TestNothingIsInherited(t *testing.T) {
	r := newRig(t)
	const count = 1000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	env := oddEnvironment(rand.New(rand.NewPCG(seed, 1)), count)
	given := []string{"GITHUB_TOKEN", "ENV", "LD_PRELOAD", "http_proxy"}
	const script = `ls -1 /proc/$$/fd; echo; cat /proc/$$/environ`

	// inside returns the descriptors and the variables that the script saw, and
	// the numbers that the program inherited that was started with them.
	inside := func(t *testing.T, args ...string) (fds, variables []string, inherited []int) {
		t.Helper()
		p := plant{Seed: seed, Descriptors: count, Args: append(args, "sh", "-c", script), Numbers: filepath.Join(t.TempDir(), "numbers")}
		p.Environment = append([][]byte{[]byte("PATH=/usr/bin:/bin"), []byte("ZVIZ_STATE_DIR=" + filepath.Join(r.folder(t), "state"))}, env...)
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
		cmd.Dir = r.workspace
		cmd.Env = []string{planterVariable + "=" + string(text)}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("seed %d: %v: %s", seed, err, stderr.String())
		}
		numbers, err := os.ReadFile(p.Numbers)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(numbers, &inherited); err != nil {
			t.Fatal(err)
		}
		list, environ, ok := strings.Cut(string(out), "\n\n")
		if !ok {
			t.Fatalf("got %q", out)
		}
		return strings.Fields(list), strings.Split(strings.TrimSuffix(environ, "\x00"), "\x00"), inherited
	}

	// The control: what env(1) starts inherits it all.
	fds, variables, inherited := inside(t, "/usr/bin/env")
	if len(inherited) < count/4 || slices.Max(inherited) < 1000 {
		t.Fatalf("%d descriptors inherited: the rest proves nothing", len(inherited))
	}
	for _, n := range inherited {
		if !slices.Contains(fds, strconv.Itoa(n)) {
			t.Errorf("without the sandbox: descriptor %d is not inherited", n)
		}
	}
	for _, kv := range env {
		if !slices.Contains(variables, string(kv)) {
			t.Errorf("without the sandbox: variable %q is not inherited", kv)
		}
	}

	for _, profile := range []string{"ci", "hostile"} {
		t.Run(profile, func(t *testing.T) {
			args := []string{r.runner, "exec", "--quiet", "--profile", profile, "--no-network", "-e", "OWN=1"}
			want := []string{"ASAN_OPTIONS=detect_leaks=0", "HOME=/home/job", "LANG=C.UTF-8", "OWN=1", "PATH=/run/zviz/bin:/usr/bin:/bin", "TMPDIR=/tmp"}
			for _, name := range given {
				args = append(args, "-e", name)
				i := slices.IndexFunc(env, func(kv []byte) bool { return bytes.HasPrefix(kv, []byte(name+"=")) })
				want = append(want, string(env[i]))
			}
			slices.Sort(want)
			fds, variables, _ := inside(t, append(args, "--")...)
			if !slices.Equal(fds, []string{"0", "1", "2"}) {
				t.Errorf("seed %d: descriptors %v, want 0 1 2", seed, fds)
			}
			slices.Sort(variables)
			if !slices.Equal(variables, want) {
				t.Errorf("seed %d: variables %q, want %q", seed, variables, want)
			}
		})
	}
}
