// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// peers are other sandboxes, as their users start them: bubblewrap with all
// namespaces and the system's folders; nsjail once, below the whole of the
// machine's root, as its manual does; runc, crun and gVisor with what Docker
// gives a container (see containerSeccomp). All of them see the workspace,
// writable, and the system's folders, read-only.
func (s *scene) peers() ([]box, error) {
	bundles := filepath.Join(s.dir, "bundles")
	filter, filterName, err := containerSeccomp(os.Getenv(seccompVariable))
	if err != nil {
		return nil, err
	}
	oci := func(tool, bind string, flags ...string) box {
		base := append([]string{tool, "--root", filepath.Join(s.dir, tool)}, flags...)
		return box{
			name: tool + " run, with Docker's capabilities and " + filterName,
			args: func(n int, command []string) []string {
				bundle := filepath.Join(bundles, id(tool, n))
				if err := s.writeBundle(bundle, bind, command, filter); err != nil {
					return []string{"sh", "-c", `echo "$0" >&2; exit 1`, err.Error()}
				}
				return append(slices.Clip(base), "run", "--bundle", bundle, id(tool, n))
			},
			clean: func(n int) []string { return append(slices.Clip(base), "delete", "--force", id(tool, n)) },
		}
	}
	crun := oci("crun", "bind")
	run := crun.args
	crun.args = func(n int, command []string) []string {
		// It refuses a machine that has cgroup v2 below v1.
		const hide = `mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified; exec "$@"`
		return append([]string{"unshare", "--mount", "--", "sh", "-c", hide, "sh"}, run(n, command)...)
	}
	all := []box{
		{
			name: "bwrap --unshare-all",
			args: func(_ int, command []string) []string {
				args := append([]string{"bwrap", "--unshare-all", "--die-with-parent", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"}, systemFolders()...)
				args = append(args, "--ro-bind", "/etc/passwd", "/etc/passwd", "--bind", s.workspace, s.workspace, "--chdir", s.workspace, "--")
				return append(args, command...)
			},
		},
		oci("runc", "bind"),
		crun,
		{
			name: "nsjail -Mo --chroot / (no filter)",
			args: func(_ int, command []string) []string {
				// /usr/local by name: ours is a mount of the scene's, which would stay writable.
				return append([]string{
					"nsjail", "-q", "-Mo", "--chroot", "/", "--user", "99999", "--group", "99999", "--tmpfsmount", "/tmp",
					"--env", "PATH=/usr/bin:/bin", "--bindmount_ro", "/usr/local", "--bindmount", s.workspace, "--cwd", s.workspace, "--", filepath.Join(s.workspace, command[0]),
				}, command[1:]...)
			},
		},
		// It binds in a user namespace, where /usr comes with what lies below or not at all.
		oci("runsc", "rbind", "--network=none", "--ignore-cgroups"),
	}
	for i, b := range all {
		tool, _, _ := strings.Cut(b.name, " ")
		if _, err := exec.LookPath(tool); err != nil {
			all[i].missing = "not installed"
		}
		if tool == "runsc" {
			all[i].name = "runsc run --network=none, the same bundle"
		}
	}
	return all, os.MkdirAll(bundles, 0o700)
}

// systemFolders shows the system's folders, read-only, as they are laid out here.
func systemFolders() []string {
	args := []string{"--ro-bind", "/usr", "/usr"}
	for _, dir := range []string{"/bin", "/lib", "/lib64"} {
		if to, err := os.Readlink(dir); err == nil {
			args = append(args, "--symlink", to, dir)
		} else {
			args = append(args, "--ro-bind-try", dir, dir)
		}
	}
	return args
}

// containerCaps are the capabilities of root in a container of Docker's.
func containerCaps() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
}

type object = map[string]any

// writeBundle makes an OCI bundle that runs one command as Docker would. bind is
// how the system's folders are mounted: bind, or rbind with what lies below.
func (s *scene) writeBundle(bundle, bind string, command []string, filter object) error {
	root := filepath.Join(bundle, "rootfs")
	mount := func(target, kind, source string, options ...string) object {
		return object{"destination": target, "type": kind, "source": source, "options": options}
	}
	mounts := []object{
		mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
		mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
		mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
		mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
		mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
		mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
		mount("/usr", "bind", "/usr", bind, "ro"),
		mount("/etc/passwd", "bind", "/etc/passwd", "bind", "ro"),
		mount(s.workspace, "bind", s.workspace, "bind", "rw"),
	}
	for _, dir := range []string{"proc", "dev", "sys", "usr", "tmp", "etc", s.workspace} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), nil, 0o644); err != nil {
		return err
	}
	for _, dir := range []string{"bin", "lib", "lib64"} {
		if to, err := os.Readlink("/" + dir); err == nil {
			if err := os.Symlink(to, filepath.Join(root, dir)); err != nil {
				return err
			}
		} else {
			mounts = append(mounts, mount("/"+dir, "bind", "/"+dir, bind, "ro"))
		}
	}
	caps := containerCaps()
	device := func(access string, numbers ...int) object {
		d := object{"allow": true, "type": "c", "access": access}
		if len(numbers) == 2 {
			d["major"], d["minor"] = numbers[0], numbers[1]
		}
		return d
	}
	text, err := json.Marshal(object{
		"ociVersion": "1.0.2",
		"process": object{
			"user": object{"uid": 0, "gid": 0}, "args": command, "cwd": s.workspace, "env": []string{"PATH=/usr/bin:/bin"},
			"capabilities": object{"bounding": caps, "effective": caps, "permitted": caps},
		},
		// A container's root is writable in Docker; here it is its own, thrown away.
		"root":     object{"path": "rootfs", "readonly": false},
		"hostname": "attack",
		"mounts":   mounts,
		"linux": object{
			"resources": object{"devices": []object{
				{"allow": false, "access": "rwm"},
				device("m"),
				device("rwm", 1, 3), device("rwm", 1, 5), device("rwm", 1, 7), device("rwm", 1, 8), device("rwm", 1, 9),
				device("rwm", 5, 0), device("rwm", 5, 2),
				{"allow": true, "type": "c", "major": 136, "access": "rwm"},
			}},
			"namespaces": []object{{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}},
			"maskedPaths": []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
				"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
			},
			"readonlyPaths": []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
			"seccomp":       filter,
		},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600)
}
