// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// TestProfileDebug: debuggers work inside, and process 1 is not to be traced.
func TestProfileDebug(t *testing.T) {
	testenv.NeedTool(t, "strace")
	b := newBench(t)
	policy := executor.Policy{NoNetwork: true, Profile: "debug"}
	out, _, err := b.run(t, executor.Request{Policy: policy}, "strace -f -o trace sh -c /bin/true; grep -q execve trace && echo traced; strace -p 1 2>&1; cat /proc/1/environ 2>&1")
	if err != nil || !strings.HasPrefix(out, "traced\n") || !strings.Contains(out, "Operation not permitted") || !strings.Contains(out, "Permission denied") {
		t.Errorf("%v: %q", err, out)
	}
	policy.Profile = "ci"
	if out, _, err = b.run(t, executor.Request{Policy: policy}, "strace -f -o trace /bin/true && echo traced"); err != nil || strings.Contains(out, "traced") {
		t.Errorf("under ci: %v: %q", err, out)
	}
}

// TestProfileRootNeedsRootfs: this machine's files are not for a job to write to.
func TestProfileRootNeedsRootfs(t *testing.T) {
	b := newBench(t)
	if _, _, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true, Profile: "root"}}, "true"); err == nil || !strings.Contains(err.Error(), "root file system") {
		t.Error(err)
	}
}

// smallRoot is a root file system with the host's busybox-like basics.
func smallRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := `mkdir -p usr/bin usr/sbin usr/lib etc var/lib home srv tmp
		ln -s usr/bin bin; ln -s usr/lib lib; [ ! -e /lib64 ] || { mkdir -p usr/lib64; ln -s usr/lib64 lib64; }
		for p in sh cat id chown chmod mkdir mv ls stat touch mknod ln grep sleep; do cp -L "$(command -v $p)" usr/bin/; done
		for p in sh cat id chown ls mv; do ldd "$(command -v $p)"; done | grep -o '/[^ ]*' | sort -u | while read -r l; do mkdir -p "usr$(dirname "${l#/usr}")"; cp -L "$l" "usr$(dirname "${l#/usr}")/"; done
		echo root:x:0:0::/root:/bin/sh > etc/passwd; echo root:x:0: > etc/group; echo secret > etc/kept; chmod 600 etc/kept`
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestProfileRoot: root of a throw-away copy, and of nothing else.
func TestProfileRoot(t *testing.T) {
	b := newBench(t)
	root := smallRoot(t)
	policy := executor.Policy{NoNetwork: true, Profile: "root", Rootfs: root}
	out, report, err := b.run(t, executor.Request{Policy: policy}, `id -u; cat /etc/kept; echo new > /etc/kept; chown 12:34 /etc/kept; stat -c %u:%g /etc/kept
		touch /usr/bin/planted /srv/x; echo y:x:9:9::/:/bin/sh >> /etc/passwd; id -u y
		mknod /srv/null c 1 3 2>/dev/null || echo no device; grep CapEff /proc/self/status; grep CapBnd /proc/self/status; grep NoNewPrivs /proc/self/status
		touch /sys/x /proc/sys/x 2>/dev/null || echo no sys; cat /proc/1/environ 2>/dev/null || echo not readable`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0\nsecret\n12:34\n9\n", "no device", "CapEff:\t00000000800000db", "CapBnd:\t00000000800000db", "NoNewPrivs:\t1", "no sys", "not readable"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	for _, name := range []string{"usr/bin/planted", "srv/x"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
			t.Errorf("%s is in the root file system itself", name)
		}
	}
	if text, err := os.ReadFile(filepath.Join(root, "etc/kept")); err != nil || string(text) != "secret\n" {
		t.Errorf("%q, %v", text, err)
	}
	found := false
	for _, l := range report.Layers {
		found = found || l.Name == sandbox.LayerCapabilities && l.Detail == "root:chown,dac_override,fowner,fsetid,setgid,setuid,setfcap"
	}
	if !found {
		t.Errorf("the report does not say it: %+v", report.Layers)
	}
}

// TestOnlineProfileRoot installs a server with a user of its own, and under ci is
// told which flag that takes. The mirror is the one of apt's own sources.
func TestOnlineProfileRoot(t *testing.T) {
	if os.Getenv("ZVIZ_TEST_ONLINE") != "1" {
		t.Skip("needs a mirror of Debian: ZVIZ_TEST_ONLINE=1")
	}
	testenv.NeedTool(t, "debootstrap")
	b := newBench(t)
	x, err := executor.New(executor.Config{StateDir: b.state, Home: "/root", Environ: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	b.x = x
	root := t.TempDir()
	build := exec.CommandContext(t.Context(), "sh", "-ec", `
		file=$(grep -ls '^URIs:' /etc/apt/sources.list.d/*.sources | head -1)
		debootstrap --variant=minbase "$(awk '/^Suites:/{print $2; exit}' "$file")" "$1" "$(awk '/^URIs:/{print $2; exit}' "$file")"
		rm -f "$1/etc/apt/sources.list"; cp "$file" "$1/etc/apt/sources.list.d/"`, "sh", root)
	if out, err := build.CombinedOutput(); err != nil {
		testenv.Missing(t, "debootstrap: %v\n%s", err, out[max(0, len(out)-500):])
	}
	for profile, want := range map[string]string{"root": "uid=", "ci": ""} {
		r := executor.Request{Policy: executor.Policy{Profile: profile, Rootfs: root, Egress: egress.Policy{}}, Presets: []string{"debian"}}
		out, report, err := b.run(t, r, `apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }; id postgres`)
		if err != nil {
			t.Fatal(err)
		}
		fix := slices.ContainsFunc(report.Denials, func(d executor.ReportDenial) bool { return d.Fix == "--profile root" })
		if good := report.Conclusion == executor.Success; good != (profile == "root") || !strings.Contains(out, want) || profile == "ci" && !fix {
			t.Errorf("%s: %s, told %t, %s", profile, report.Conclusion, fix, out[max(0, len(out)-1500):])
		}
	}
	// What images install to become somebody else, and the real sudo of the job's root.
	r := executor.Request{Policy: executor.Policy{Profile: "root", Rootfs: root}, Presets: []string{"debian"}}
	out, _, err := b.run(t, r, `exec 2>&1; sudo apt-get update -qq; sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gosu sudo adduser >/tmp/log 2>&1 || cat /tmp/log
		adduser --quiet --system --group --uid 150 --no-create-home svc
		for by in 'gosu svc' 'setpriv --reuid svc --regid svc --init-groups' 'sudo -u svc' '/usr/bin/sudo -nu svc' 'runuser -u svc --'; do $by id -un; done; su -s /bin/sh -c 'id -un' svc`)
	if want := sudoNote + " (uid 0)\n" + strings.Repeat("svc\n", 6); err != nil || out != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}
