// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/zviz/run/internal/testenv"
)

// userRoot is a root file system of the user's own with the machine's basics.
func (r *userRig) userRoot(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(r.home, "root")
	script := `mkdir "$1"; cd "$1"; mkdir -p usr/bin usr/lib etc var/lib srv tmp
		ln -s usr/bin bin; ln -s usr/lib lib; [ ! -e /lib64 ] || { mkdir -p usr/lib64; ln -s usr/lib64 lib64; }
		for p in sh cat id chown stat touch grep setpriv; do cp -L "$(command -v $p)" usr/bin/; done
		for p in usr/bin/*; do ldd "$p"; done | grep -o '/[^ ]*' | sort -u | while read -r l; do to=usr$(dirname "${l#/usr}"); mkdir -p "$to"; cp -L "$l" "$to/"; done
		printf 'root:x:0:0::/root:/bin/sh\npostgres:x:70:70::/srv:/bin/sh\n' >etc/passwd; echo kept >etc/kept; chmod 600 etc/kept
		chown -R "$2:$2" .`
	if out, err := exec.CommandContext(t.Context(), "sh", "-ec", script, "sh", dir, strconv.Itoa(nobodysUID)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestUserProfileRoot: an ordinary user with ids of /etc/subuid has a job that is
// root of a copy of the user's own root file system.
func TestUserProfileRoot(t *testing.T) {
	r := newUserRig(t)
	testenv.NeedTool(t, "newuidmap")
	root := r.userRoot(t)
	cmd := r.command(t, `zviz-runner exec --allow-missing cgroup --no-network --profile root --rootfs ../home/root -- sh -c 'exec 2>&1
		id -u; cat /proc/self/uid_map /etc/kept; echo new >/etc/kept; cat /etc/kept
		touch /srv/x; chown 70:70 /srv/x; stat -c %u:%g /srv/x
		setpriv --reuid 70 --regid 70 --clear-groups sh -c "id -u; cat /etc/kept; grep CapEff /proc/self/status"
		sudo -u postgres id -u; sudo -u "#65535" id -u; sudo -u "#65536" id -u; cat /proc/1/environ
		for n in /proc/1/fd/*; do cat $n || stat -L $n; done 2>&1 | grep -vc "Permission denied"
		touch made; stat -c %u made; chown 70 made; stat -c %u made'`)
	r.giveRange(t, cmd)
	out, err := cmd.CombinedOutput()
	const want = `0
         0          0          1
         1          1      65535
kept
new
70:70
70
cat: /etc/kept: Permission denied
CapEff:	0000000000000000
sudo: nothing more is granted in this sandbox: the command runs as it is (uid 0)
70
65535
setpriv: setresuid failed: Invalid argument
cat: /proc/1/environ: Permission denied
0
0
70
`
	if err != nil || string(out) != want {
		t.Errorf("%v: got\n%s, want\n%s", err, out, want)
	}
	if text, err := os.ReadFile(filepath.Join(root, "etc/kept")); err != nil || string(text) != "kept\n" {
		t.Errorf("the root file system itself has %q, %v", text, err)
	}
	if _, err := os.Lstat(filepath.Join(root, "srv/x")); err == nil {
		t.Error("a file came into the root file system itself")
	}
	if left, err := filepath.Glob(filepath.Join(r.home, ".local/state/zviz/jobs/*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q (%v)", left, err)
	}
}

// TestUserProfileRootWithoutRange says what is missing.
func TestUserProfileRootWithoutRange(t *testing.T) {
	r := newUserRig(t)
	r.userRoot(t)
	out, code := r.run(t, `zviz-runner exec --allow-missing cgroup --no-network --profile root --rootfs ../home/root -- true`)
	if code != 125 || !strings.Contains(out, "/etc/subuid") || !strings.Contains(out, "newuidmap") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestUserSudo: there as well, without an id to spare.
func TestUserSudo(t *testing.T) {
	r := newUserRig(t)
	out, code := r.run(t, `zviz-runner exec -q --allow-missing cgroup --no-network -- sh -c 'exec 2>&1; sudo id -u; sudo -n -u root sh -c "exit 6"'`)
	if code != 6 || out != "sudo: nothing more is granted in this sandbox: the command runs as it is (uid 54321)\n54321\n" {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestUserAttackOpened: the profiles that open more hold for an ordinary user's runner too.
func TestUserAttackOpened(t *testing.T) {
	r := newUserRig(t)
	r.delegate(t)
	testenv.NeedTool(t, "newuidmap")
	for _, profile := range []string{"debug", "root"} {
		cmd := r.command(t, "zviz-runner doctor --attack --profile "+profile)
		r.giveRange(t, cmd)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Nothing escaped.") {
			t.Errorf("%s: %v\n%s", profile, err, out)
		}
	}
}
