// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

// identityRoot is a root file system with the machine's own tools that become
// somebody else or make somebody, with PAM and two accounts.
func identityRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, tool := range []string{"setpriv", "su", "runuser", "useradd", "ldd"} {
		testenv.NeedTool(t, tool)
	}
	if err := os.MkdirAll(filepath.Join(dir, "usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(testenv.Build(t, "github.com/zviz/run/executor/testdata/gosu"), filepath.Join(dir, "usr/bin/gosu")); err != nil {
		t.Fatal(err)
	}
	script := `
		mkdir -p usr/sbin usr/lib etc/default var/lib var/mail home srv tmp root
		ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib lib; [ ! -e /lib64 ] || { mkdir -p usr/lib64; ln -s usr/lib64 lib64; }
		for p in sh cat id ls grep sed stat setpriv su runuser useradd groupadd usermod chpasswd; do cp -L "$(command -v $p)" usr/bin/; done
		pam=$(dirname "$(find /usr/lib /lib -name pam_permit.so | head -1)"); pam=usr/lib/${pam#*lib/}; mkdir -p "$pam"; cp "/$pam"/*.so "$pam/"
		for p in usr/bin/* "$pam"/*.so; do ldd "$p" 2>/dev/null || true; done | grep -o '/[^ ]*' | sort -u |
			while read -r l; do [ ! -f "$l" ] || { to=usr$(dirname "${l#/usr}"); mkdir -p "$to"; cp -L "$l" "$to/"; }; done
		cp -a /etc/pam.d /etc/login.defs /etc/security etc/
		printf 'root:x:0:0::/root:/bin/sh\npostgres:x:70:70::/srv:/bin/sh\n' >etc/passwd
		printf 'root:x:0:\npostgres:x:70:\nextra:x:71:postgres\n' >etc/group
		printf 'root:*:1::::::\npostgres:*:1::::::\n' >etc/shadow; : >etc/gshadow; chmod 640 etc/shadow etc/gshadow
		printf 'passwd: files\ngroup: files\nshadow: files\n' >etc/nsswitch.conf`
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestIdentityTools: what entrypoints and installers use to become another user
// works for the job's root, and none of it ends with a capability.
func TestIdentityTools(t *testing.T) {
	b := newBench(t)
	policy := executor.Policy{NoNetwork: true, Profile: "root", Rootfs: identityRoot(t)}
	const inGroups, alone = "uid=70(postgres) gid=70(postgres) groups=70(postgres),71(extra)\n", "uid=70(postgres) gid=70(postgres) groups=70(postgres)\n"
	for _, tt := range []struct{ line, want string }{
		{"gosu 70 70 /bin/id", alone},
		{"setpriv --reuid 70 --regid 70 --init-groups id", inGroups},
		{"setpriv --reuid postgres --regid postgres --clear-groups id", alone},
		{"setpriv --reuid 70 --regid 70 --init-groups --inh-caps=-all --no-new-privs id", inGroups},
		{"su postgres -c id", inGroups},
		{"su - postgres -c 'id; pwd'", inGroups + "/srv\n"},
		{"runuser -u postgres -- id", inGroups},
		{"useradd -m -s /bin/sh app && stat -c '%U %G %a' /home/app && su app -c 'id -u; echo x >~/mine' && stat -c %U /home/app/mine", "app app 755\n1000\napp\n"},
		{"useradd app && groupadd more && usermod -aG more app && echo app:word | chpasswd && id -Gn app && grep -c '^app:[$]' /etc/shadow", "app more\n1\n"},
		{"sudo -u postgres id", inGroups},
		{"sudo -nu '#70' -g extra id", "uid=70(postgres) gid=71(extra) groups=71(extra),70(postgres)\n"},
		{"sudo --user=postgres sh -c 'echo $HOME $USER $LOGNAME'", "/srv postgres postgres\n"},
		{"sudo -iu postgres pwd", "/srv\n"},
		{`sudo -iu postgres echo '$HOME' 'a  b'`, "/srv a  b\n"},
		{"sudo -u '#12345' id -u", "12345\n"},
		{"sudo -u postgres sudo -u root id -u", "70\n"},
		{"sudo -u root id -u", "0\n"},
		{"sudo -u nobody-here id", "sudo: unknown user nobody-here\n"},
		{"sudo -g nobody-here id", "sudo: unknown group nobody-here\n"},
		// su where setpriv is that of busybox, which cannot become anybody
		{`printf '#!/bin/sh\necho busybox' >/usr/bin/setpriv; sudo -u postgres sh -c 'id -u; echo "$1"' sh 'a  b'; sudo -g extra id`, "70\na  b\nsudo: -g needs setpriv of util-linux, which this root file system does not have\n"},
		// Capabilities do not come along, whatever is done before.
		{"setpriv --reuid 70 --clear-groups grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status", strings.Repeat("0\n", 4)},
		{"setpriv --reuid 70 --clear-groups --inh-caps=+setuid,+chown grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status", strings.Repeat("0\n", 3)},
		{"setpriv --reuid 70 --clear-groups --inh-caps=+setuid --ambient-caps=+setuid grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status", strings.Repeat("0\n", 3)},
		{"setpriv --securebits=+keep_caps_locked id 2>/dev/null || echo refused", "refused\n"},
		{"setpriv --bounding-set=+sys_admin id >/dev/null 2>&1; grep CapBnd /proc/self/status", "800000db\n"},
	} {
		out, _, err := b.run(t, executor.Request{Policy: policy}, "exec 2>&1; sudo sh -c : 2>/dev/null; "+tt.line)
		var lines strings.Builder
		for line := range strings.Lines(out) {
			if name, value, ok := strings.Cut(line, ":\t"); ok && strings.HasPrefix(name, "Cap") {
				line = strings.TrimLeft(value, "0")
				if line == "\n" {
					line = "0\n"
				}
			}
			lines.WriteString(line)
		}
		if err != nil || lines.String() != tt.want {
			t.Errorf("%s: got %q, want %q, %v", tt.line, lines.String(), tt.want, err)
		}
	}
}
