// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/internal/testenv"
)

// toolchain runs a command as the operator would, outside of any workspace.
func toolchain(ctx context.Context, argv []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = "/"
	return cmd.Output()
}

// online runs a script with a real tool against the registry that this machine is
// configured for, through the preset. It needs the network, so it runs only when asked
// for. change may be nil.
func online(t *testing.T, preset, tool, script string, change func(*Config)) (out []byte, events []Event, failed error) {
	t.Helper()
	if os.Getenv("ZVIZ_TEST_ONLINE") != "1" {
		t.Skip("needs the network: set ZVIZ_TEST_ONLINE=1")
	}
	testenv.NeedRoot(t)
	nsenter := testenv.NeedTool(t, "nsenter")
	testenv.NeedTool(t, tool)
	cfg := Config{ID: "online"}
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Roots = b
	}
	p, err := Discover(t.Context(), preset, toolchain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := net.DefaultResolver.LookupHost(t.Context(), p.Rules[0].Host); err != nil {
		if slices.Contains([]string{"npm", "yarn", "pnpm", "go", "debian"}, preset) { // whose registries CI has
			testenv.Missing(t, "this machine cannot reach its own registry: %v", err)
		}
		t.Skipf("this machine cannot reach its own registry: %v", err)
	}
	for i := range p.Rules {
		p.Rules[i].Private = true // the machine's registry may be a mirror nearby
	}
	var n *Network
	cfg.Presets = []Preset{p}
	cfg.Observe = func(e Event) { events = append(events, e) }
	cfg.Processes = func() []int { return inNamespace(n) }
	if change != nil {
		change(&cfg)
	}
	if n, err = Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	out, failed = runInside(t, nsenter, n, t.TempDir(), script)
	start := time.Now()
	complete := n.Complete()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("complete=%v close=%v events=%d notes=%q", complete, time.Since(start), len(events), p.Notes)
	for _, s := range Summarize(events) {
		t.Logf("%-5s %-8s count=%d up=%d down=%d reason=%s first=%s %v fix=%q", s.Door, s.Verdict, s.Count, s.Up, s.Down, s.Reason, s.First.Argv0, s.First.Chain, s.Fix)
	}
	return out, events, failed
}

// Scripts of real tools.
const (
	scriptNPMInstall = `echo '{"name":"x","version":"1.0.0","dependencies":{"left-pad":"1.3.0","express":"4"}}' > package.json && npm install && npm ci && test -d node_modules/express`
	scriptNPMPublish = `echo '{"name":"zviz-x","version":"1.0.0"}' > package.json && echo "${npm_config_registry#*:}:_authToken=x" > .npmrc && npm publish`
	scriptNodeFetch  = `node -e 'fetch(process.env.npm_config_registry).then(r => process.exit(r.ok ? 0 : 1))'`
	scriptNoProxy    = `curl -sSf -o /dev/null --noproxy "*" "$npm_config_registry"`
	scriptGoMod      = `printf 'module x\n\ngo 1.24\n' > go.mod && go get github.com/google/go-cmp@v0.6.0 && go mod download`
	scriptAptUpdate  = `mkdir -p l/partial c/partial && apt-get -o Dir::State::lists=$PWD/l -o Dir::Cache=$PWD/c -o APT::Sandbox::User=root update`
)

// TestOnline runs real tools through the presets.
func TestOnline(t *testing.T) {
	tests := []struct {
		preset  string
		tool    string
		script  string
		succeed bool
	}{
		{"npm", "npm", scriptNPMInstall, true},
		{"npm", "npm", scriptNPMPublish, false},
		{"npm", "node", scriptNodeFetch, true},
		{"npm", "curl", scriptNoProxy, true},
		{"npm", "curl", `curl -sSf -o /dev/null -x http://169.254.1.1:3128 "$npm_config_registry"`, true},
		{"npm", "wget", `wget -q -O /dev/null "$npm_config_registry"`, true},
		{"npm", "python3", `python3 -c 'import os, urllib.request as u; u.urlopen(os.environ["npm_config_registry"]).read()'`, true},
		{"npm", "curl", `curl -sS --max-time 10 https://evil.test/`, false},
		{"pypi", "pip", `pip download --no-deps -d . six`, true},
		{"go", "go", scriptGoMod, true},
		{"debian", "apt-get", scriptAptUpdate, true},
	}
	for _, tt := range tests {
		t.Run(tt.preset+" "+strings.Fields(tt.script)[0], func(t *testing.T) {
			out, _, err := online(t, tt.preset, tt.tool, tt.script, nil)
			if (err == nil) != tt.succeed {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func inNamespace(n *Network) []int {
	job, err := os.Stat(n.Path())
	if err != nil {
		return nil
	}
	var pids []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if ns, err := os.Stat(dir + "/ns/net"); err == nil && os.SameFile(job, ns) {
			if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// runInside runs a script in the job's namespace with the files that it needs.
func runInside(t *testing.T, nsenter string, n *Network, dir, script string) ([]byte, error) {
	t.Helper()
	f := n.Files()
	write := func(name string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	setup := fmt.Sprintf("mount --bind %s /etc/resolv.conf && mount --bind %s %s && mount -t tmpfs none /mnt && touch /mnt/ca.pem && cp %s /mnt/ca.pem",
		write("resolv.conf", f.ResolvConf), write("bundle.pem", f.CABundle), CABundlePath, write("ca.pem", f.JobCA))
	cmd := exec.CommandContext(t.Context(), nsenter, "--net="+"/proc/"+strconv.Itoa(os.Getpid())+strings.TrimPrefix(n.Path(), "/proc/self"),
		"unshare", "-m", "sh", "-c", setup+" && "+script)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GOFLAGS=-modcacherw"}
	for k, v := range f.Env {
		cmd.Env = append(cmd.Env, k+"="+strings.ReplaceAll(v, JobCAPath, "/mnt/ca.pem"))
	}
	return cmd.CombinedOutput()
}
