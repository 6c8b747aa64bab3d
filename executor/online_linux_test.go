// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/internal/testuser"
)

// TestOnlineInstall runs the installers of JavaScript that are not npm's own through
// the sandbox, with the preset that their name gets, against the registry that this
// machine is configured for; as root and as an ordinary user. It needs the network, so
// it runs only when asked for.
func TestOnlineInstall(t *testing.T) {
	if os.Getenv("ZVIZ_TEST_ONLINE") != "1" {
		t.Skip("needs the network: set ZVIZ_TEST_ONLINE=1")
	}
	testenv.NeedRoot(t)
	npm := testenv.NeedTool(t, "npm")
	runner := testenv.Build(t, "github.com/zviz/run/cmd/zviz-runner")
	u, err := testuser.New(testenv.Build(t, "github.com/zviz/run/internal/testuser/become"), runner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	// A job sees a folder of /opt that PATH leads into, all of it.
	versions, err := os.MkdirTemp("/opt", "zviz-test-") //nolint:usetesting // elsewhere it is not shown
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(versions) })
	if err := os.Chmod(versions, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{"yarn@1.22.22", "pnpm@9", "@yarnpkg/cli-dist@4"} {
		prefix := filepath.Join(versions, strings.NewReplacer("@", "_", "/", "_").Replace(pkg))
		cmd := exec.CommandContext(t.Context(), npm, "install", "-g", "--prefix", prefix, pkg)
		if out, err := cmd.CombinedOutput(); err != nil {
			testenv.Missing(t, "this machine cannot reach its own registry: %v\n%s", err, out)
		}
		if dist := filepath.Join(prefix, "lib/node_modules/@yarnpkg/cli-dist/bin/yarn.js"); strings.Contains(pkg, "cli-dist") {
			if err := os.MkdirAll(filepath.Join(prefix, "bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(dist, filepath.Join(prefix, "bin", "yarn")); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
			if err := os.Chmod(dist, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	const manifest = `{"name":"x","version":"1.0.0","license":"MIT","dependencies":{"left-pad":"1.3.0","@types/ms":"0.7.34"}}`
	tests := []struct {
		name, version string
		files         map[string]string
		commands      []string
		have          string
	}{
		{"yarn 1", "yarn_1.22.22", nil, []string{"yarn install", "rm -r node_modules", "yarn install --frozen-lockfile"}, "node_modules/left-pad/package.json"},
		{"yarn 4", "_yarnpkg_cli-dist_4", map[string]string{"yarn.lock": ""}, []string{"yarn install"}, ".pnp.cjs"},
		{"pnpm", "pnpm_9", nil, []string{"pnpm install", "rm -r node_modules", "pnpm install --frozen-lockfile"}, "node_modules/left-pad/package.json"},
	}
	for _, tt := range tests {
		t.Run("private package by "+tt.name, func(t *testing.T) {
			t.Setenv("PATH", filepath.Join(versions, tt.version, "bin")+":"+filepath.Dir(npm)+":/usr/bin:/bin")
			o := newOperator(t, privateNPM(t), map[string]string{".npmrc": npmrc("s3cr3t-npm")})
			preset := strings.Fields(tt.commands[0])[0]
			for name, text := range tt.files {
				o.write(t, name, text)
			}
			o.write(t, "package.json", `{"name":"job","version":"1.0.0","license":"MIT","dependencies":{"@corp/x":"1.0.0"}}`)
			out, report, err := o.run(t, executor.Request{Presets: []string{preset}, Policy: o.policy}, tt.commands[0]+" && cat yarn.lock pnpm-lock.yaml 2>/dev/null | grep -q corp/x"+nowhere)
			o.check(t, out, err, report, "GET scope.example.com /npm/private/@corp/x Bearer s3cr3t-npm", "/-/x-1.0.0.tgz Bearer s3cr3t-npm")
		})
	}
	for _, who := range []string{"root", "a user"} {
		for _, tt := range tests {
			t.Run(tt.name+" as "+who, func(t *testing.T) {
				dir, err := u.Folder()
				if err != nil {
					t.Fatal(err)
				}
				for name, text := range map[string]string{"package.json": manifest, "yarn.lock": tt.files["yarn.lock"]} {
					if name != "package.json" && tt.files == nil {
						continue
					}
					if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				program := runner
				if who != "root" {
					program = u.Runner
				}
				if err := u.Own(dir); err != nil {
					t.Fatal(err)
				}
				for _, c := range tt.commands {
					args := append([]string{"exec", "--"}, strings.Fields(c)...)
					cmd := exec.CommandContext(t.Context(), program, args...)
					var out bytes.Buffer
					cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
					cmd.Env = []string{
						"HOME=" + u.Home, "PATH=" + filepath.Join(versions, tt.version, "bin") + ":" + filepath.Dir(npm) + ":/usr/bin:/bin",
						"SSL_CERT_FILE=" + os.Getenv("SSL_CERT_FILE"), "XDG_STATE_HOME=" + filepath.Join(t.TempDir(), "state"),
					}
					if who != "root" {
						cmd.Env[3] = "XDG_STATE_HOME="
					}
					if err := cmd.Run(); err != nil {
						t.Fatalf("%s: %v\n%s", c, err, out.String())
					}
					if tool := strings.Fields(c)[0]; tool != "rm" && !strings.Contains(out.String(), "preset of "+tool) {
						t.Errorf("no word about the preset:\n%s", out.String())
					}
				}
				if _, err := os.Stat(filepath.Join(dir, tt.have)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
