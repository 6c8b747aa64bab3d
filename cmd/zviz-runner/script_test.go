// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/zviz/run/cmd/zviz-runner/internal/cli"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

func TestMain(m *testing.M) {
	// The sandbox has a /tmp of its own, and the command lies in a folder of PATH.
	if err := os.Setenv("TMPDIR", "/var/tmp"); err != nil {
		panic(err)
	}
	// The test binary is the command, so that these tests count for coverage.
	testscript.Main(m, map[string]func(){
		"zviz-runner": func() {
			os.Exit(cli.Main(cli.System{Args: os.Args, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()}))
		},
	})
}

// Each script describes one behaviour. A script starts in $WORK, which holds
// the home folder and can be no workspace: those that run a command go to ws.
func TestScript(t *testing.T) {
	schemaFile()
	examples()
	needScriptTools(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
			e.Setenv("EXAMPLES", examples())
			e.Setenv("ACTIONS", os.Getenv("ZVIZ_ACTIONS"))
			e.Setenv("ZVIZ_STATE_DIR", filepath.Join(e.WorkDir, "state"))
			for _, d := range []string{home, filepath.Join(e.WorkDir, "ws")} {
				if err := os.MkdirAll(d, 0o755); err != nil {
					return err
				}
			}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "sandbox":
				return sandboxWorks(), nil
			case "published":
				return os.Getenv("ZVIZ_ACTIONS") != "", nil
			default:
				return false, fmt.Errorf("unknown condition %q", cond)
			}
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"bigfile":     bigfile,
			"damage":      damage,
			"package":     putPackage,
			"mkfifo":      mkfifo,
			"serve":       serve,
			"gitserve":    gitserve,
			"npmregistry": npmregistry,
			"report":      report,
		},
	})
}

// needScriptTools fails where everything must be there and a script would skip for want
// of a program.
func needScriptTools(t *testing.T) {
	t.Helper()
	if os.Getenv("ZVIZ_TEST_REQUIRE") != "1" {
		return
	}
	scripts, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`(?m)^\[!exec:([^\]]+)\] skip`)
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range wanted.FindAllStringSubmatch(string(text), -1) {
			testenv.NeedTool(t, m[1])
		}
	}
	if !sandboxWorks() {
		testenv.Missing(t, "no sandbox here")
	}
}

// sandboxWorks reports whether this build and this user can run a command. Only
// what is known to be missing counts: anything else must fail in the scripts.
var sandboxWorks = sync.OnceValue(func() bool {
	if os.Geteuid() != 0 {
		return false
	}
	state, err := os.MkdirTemp("", "zviz-state")
	if err != nil {
		return false
	}
	defer os.RemoveAll(state)
	x, err := executor.New(executor.Config{StateDir: state, Home: "/nonexistent", Environ: os.Environ()})
	if err == nil {
		_, err = x.Probe(context.Background())
	}
	return err == nil || !strings.Contains(err.Error(), "not built yet")
})

// report NAME fails unless the last line of the file, or all of it, is a report
// that its schema allows; "stdout" is the last command's output.
func report(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: report NAME")
	}
	text := strings.TrimSpace(ts.ReadFile(args[0]))
	if args[0] == "stdout" {
		text = text[strings.LastIndexByte(text, '\n')+1:]
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	ts.Check(err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(schemaFile())
	ts.Check(err)
	ts.Check(s.Validate(v))
}

// schemaFile is found from the folder of this package, which scripts leave.
var schemaFile = sync.OnceValue(func() string {
	path, err := filepath.Abs("../../docs/report-v1.schema.json")
	if err != nil {
		panic(err)
	}
	return path
})

// examples is the folder of the same name.
var examples = sync.OnceValue(func() string {
	path, err := filepath.Abs("../../examples")
	if err != nil {
		panic(err)
	}
	return path
})

// serve NAME [CAFILE LOG] starts a web server on this machine and sets NAME to its
// address. With CAFILE it speaks TLS as example.com, with a certificate that the file
// trusts, repeats the credential that it gets and writes it to LOG.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 && len(args) != 3 {
		ts.Fatalf("usage: serve NAME [CAFILE LOG]")
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s of %s\n", r.Method, r.URL.Path, r.Host)
		if len(args) == 3 {
			auth := r.Header.Get("Authorization")
			fmt.Fprintf(w, "you sent %s\n", auth)
			_ = os.WriteFile(ts.MkAbs(args[2]), []byte(auth+"\n"), 0o600)
		}
	}))
	ts.Defer(s.Close)
	if len(args) == 1 {
		s.Start()
	} else {
		s.StartTLS()
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	}
	ts.Setenv(args[0], s.Listener.Addr().String())
}

// bigfile NAME BYTES makes a file of that size.
func bigfile(ts *testscript.TestScript, _ bool, args []string) {
	var n int64
	if len(args) != 2 {
		ts.Fatalf("usage: bigfile NAME BYTES")
	}
	if _, err := fmt.Sscan(args[1], &n); err != nil {
		ts.Fatalf("%v", err)
	}
	name := ts.MkAbs(args[0])
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		ts.Fatalf("%v", err)
	}
	if err := os.Truncate(name, n); err != nil {
		ts.Fatalf("%v", err)
	}
}
