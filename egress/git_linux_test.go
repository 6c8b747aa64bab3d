// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"crypto/tls"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/internal/testenv"
)

// TestGit clones from a host whose rule opens fetching of one owner's
// repositories, and fails to push to it.
func TestGit(t *testing.T) {
	testenv.NeedRoot(t)
	git, nsenter := testenv.NeedTool(t, "git"), testenv.NeedTool(t, "nsenter")
	root := t.TempDir()
	sh := func(script string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
		cmd.Dir = root
		cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + root, "GIT_CONFIG_NOSYSTEM=1"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	sh(`git init -q --bare acme/repo.git && git -C acme/repo.git config http.receivepack true && mkdir evil && cp -r acme/repo.git evil/repo.git &&
		git init -q w && cd w && echo x > x && git add x && git -c user.name=a -c user.email=a@a.test commit -qm x && git push -q ../acme/repo.git HEAD:refs/heads/main && git -C ../acme/repo.git symbolic-ref HEAD refs/heads/main`)
	ca, err := newJobCA("outside", []string{"git.test"})
	if err != nil {
		t.Fatal(err)
	}
	execPath, err := exec.CommandContext(t.Context(), git, "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	pushes := 0
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + root, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "receive-pack") || r.URL.Query().Get("service") == "git-receive-pack" {
			pushes++
		}
		backend.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return ca.leaf(h.ServerName) }}
	server.StartTLS()
	defer server.Close()

	j := openJob(t, func(c *Config) {
		c.Roots = ca.pem
		c.Policy.Rules = []Rule{{
			Host: "git.test", Ports: []uint16{443}, Methods: []string{"GET", "POST"},
			Paths: []string{"/acme/*/info/refs", "/acme/*/git-upload-pack"},
		}}
		c.Policy.Upstream.Hosts["git.test"] = server.Listener.Addr().String()
	})
	tests := []struct {
		name    string
		script  string
		succeed bool
	}{
		{"clone", "git clone -q https://git.test/acme/repo.git r && test -f r/x", true},
		{"clone of another owner", "git clone -q https://git.test/evil/repo.git e", false},
		{"push", "cd r && git push -q origin HEAD:refs/heads/evil", false},
	}
	dir := t.TempDir()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := runInside(t, nsenter, j.n, dir, tt.script)
			if (err == nil) != tt.succeed {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: "git.test", Method: "POST", Path: "/acme/repo.git/git-upload-pack"})
	j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "git.test", Path: "/evil/repo.git/info/refs", Reason: ReasonPath})
	j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "git.test", Method: "POST", Path: "/acme/repo.git/git-receive-pack", Reason: ReasonPath})
	t.Logf("the host was asked for a push's references %d times", pushes)
	if !j.n.Complete() {
		t.Error("incomplete, though every request was seen")
	}
}
