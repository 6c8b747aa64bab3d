// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

// twoPackages is a registry that has left and right, and what a lockfile says of one.
func twoPackages(t *testing.T) (answer http.HandlerFunc, lock func(name string) string) {
	t.Helper()
	tarball := map[string][]byte{}
	integrity := func(name string) string {
		sum := sha512.Sum512(tarball[name])
		return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	}
	url := func(name string) string { return "https://registry.example.com/" + name + "/-/" + name + "-1.0.0.tgz" }
	for _, name := range []string{"left", "right"} {
		tarball[name] = archive(t, map[string]string{"package/package.json": fmt.Sprintf(`{"name":%q,"version":"1.0.0"}`, name)})
	}
	return func(w http.ResponseWriter, r *http.Request) {
			name, file, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/-/")
			switch {
			case tarball[name] == nil:
				w.WriteHeader(http.StatusNotFound)
			case file != "":
				_, _ = w.Write(tarball[name])
			default:
				_ = json.NewEncoder(w).Encode(map[string]any{
					"name": name, "dist-tags": map[string]string{"latest": "1.0.0"}, "time": map[string]string{"1.0.0": "2020-01-01T00:00:00Z"},
					"versions": map[string]any{"1.0.0": map[string]any{"name": name, "version": "1.0.0", "dist": map[string]string{"tarball": url(name), "integrity": integrity(name)}}},
				})
			}
		}, func(name string) string {
			return fmt.Sprintf(`{"name":"job","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"job","version":"1.0.0","dependencies":{%[1]q:"1.0.0"}},"node_modules/%[1]s":{"version":"1.0.0","resolved":%[2]q,"integrity":%[3]q}}}`, name, url(name), integrity(name))
		}
}

// Steps of a job fetch what the lockfiles name that the first of them brought along,
// and nothing that they wrote there since.
func TestCellLockfileOnly(t *testing.T) {
	testenv.NeedTool(t, "npm")
	answer, lock := twoPackages(t)
	o := newOperator(t, answer, map[string]string{".npmrc": "registry=https://registry.example.com/\n"})
	state, err := os.MkdirTemp("/var/tmp", "zviz-cell") //nolint:usetesting // the sandbox has a /tmp of its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	x, err := executor.New(executor.Config{StateDir: state, PackageDir: filepath.Join(state, "packages"), Home: o.home, Environ: []string{"PATH=" + os.Getenv("PATH")}})
	if err != nil {
		t.Fatal(err)
	}
	policy := o.policy
	policy.Egress.NPM.LockfileOnly = true
	cell, err := x.OpenCell(t.Context(), executor.CellRequest{Policy: policy, Presets: []string{"npm"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cell.Close(); err != nil {
			t.Error(err)
		}
	}()
	const repo = executor.RunnerWork + "/r/r"
	run := func(name, script string) string {
		t.Helper()
		out, res, err := namedStep(t, cell, name, "export npm_config_fetch_retries=0 npm_config_update_notifier=false; "+script)
		if err != nil || res.ExitCode != 0 {
			t.Fatalf("%s: exit %d, %v\n%s", name, res.ExitCode, err, out)
		}
		return out
	}
	project := func(name string) string {
		return fmt.Sprintf(`echo '{"name":"job","version":"1.0.0","dependencies":{"%s":"1.0.0"}}' >package.json; echo '%s' >package-lock.json; `, name, lock(name))
	}
	// Nothing is named yet; and what this step itself writes does not count for it.
	run("Checkout", "mkdir -p "+repo+" && cd "+repo+" && "+project("left")+"! npm ci")
	// Nor does a package's install script, here the step itself, name another one.
	run("Install", "cd "+repo+" && npm ci && test -f node_modules/left/package.json && "+project("right")+"! npm ci")
	run("Test", "cd "+repo+" && ! npm ci && test ! -e node_modules/right && "+project("left")+"npm ci")
	if asked := strings.Join(o.asked, "\n"); strings.Contains(asked, "/right") || strings.Count(asked, "/left/-/") != 1 {
		t.Errorf("the registry was asked\n%s", asked)
	}
	denied := map[string]bool{}
	for _, e := range cell.Events() {
		if e.Verdict == egress.VerdictDeny {
			denied[e.Step+" "+e.Reason] = true
		}
	}
	for _, want := range []string{"Checkout not-in-lockfile", "Install not-in-lockfile", "Test not-in-lockfile"} {
		if !denied[want] {
			t.Errorf("no event %q, but %v", want, denied)
		}
	}
}
