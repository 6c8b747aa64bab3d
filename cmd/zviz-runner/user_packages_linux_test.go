// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha512"
	"encoding/hex"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/internal/testenv"
)

// TestUserPackages: an ordinary user's second installation asks nobody. The job is the
// very user whom the store belongs to, and still cannot change it.
func TestUserPackages(t *testing.T) {
	testenv.NeedTool(t, "npm")
	r := newUserRig(t)
	log := filepath.Join(t.TempDir(), "log")
	registry := &npmRegistry{base: "http://registry.test", log: log}
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry)
	t.Cleanup(server.Close)
	const manifest = `{"name":"job","version":"1.0.0","dependencies":{"left":"1.0.0"}}`
	sum := sha512.Sum512(tarball("left", "1.0.0"))
	h := hex.EncodeToString(sum[:])
	for name, text := range map[string]string{
		filepath.Join(r.home, ".npmrc"):      "registry=http://registry.test/\nomit-lockfile-registry-resolved=false\n",
		filepath.Join(r.home, "policy.yml"):  "version: 1\negress:\n  upstream: {hosts: {registry.test: '" + server.Listener.Addr().String() + "'}}\n",
		filepath.Join(r.dir, "package.json"): manifest,
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(name, nobodysUID, nobodysUID); err != nil {
			t.Fatal(err)
		}
	}
	const exec = "zviz-runner exec --allow-missing cgroup --policy ../home/policy.yml --report ../home/report.json -q "
	if out, code := r.run(t, exec+"-- npm install --no-update-notifier && rm -r node_modules && "+exec+"-- npm ci && test -e node_modules/left/package.json"); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	asked, err := os.ReadFile(log)
	if err != nil || strings.Count(string(asked), ".tgz") != 1 {
		t.Errorf("%v: the registry was asked\n%s", err, asked)
	}
	if report, err := os.ReadFile(filepath.Join(r.home, "report.json")); err != nil || !strings.Contains(string(report), `"available": true`) {
		t.Errorf("%v: the report:\n%s", err, report)
	}
	out, code := r.run(t, exec+`--allow npm -- sh -c 'exec 2>&1; cd ~/.npm/_cacache/content-v2/sha512/`+h[:2]+"/"+h[2:4]+` || exit 9; f=`+h[4:]+`
		test -f $f || exit 8; ln $f linked; chmod 666 linked $f; echo poison >>linked; echo poison >>$f; tail -n 1 $f; mv $f moved; rm moved; echo planted >planted; exit 7'`)
	if code != 7 || !strings.Contains(out, "poison") {
		t.Fatalf("the attack did not take place: exit code %d:\n%s", code, out)
	}
	out, code = r.run(t, `zviz-runner cache verify; find ~/.cache/zviz -type f -perm /222 -path '*/blobs/*'; find ~/.cache/zviz -type f -path '*/blobs/*' -links +1; rm -r node_modules; `+
		exec+`-- npm ci && `+exec+`--allow npm -- find /home/job/.npm -name planted -o -name linked -o -name moved`)
	if code != 0 || strings.Contains(out, "blobs/") || strings.Contains(out, "/home/job") || !strings.Contains(out, ": 0 wrong") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if asked, err := os.ReadFile(log); err != nil || strings.Count(string(asked), ".tgz") != 1 {
		t.Errorf("%v: the registry was asked\n%s", err, asked)
	}
}
