// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// peers are other sandboxes, as their users start them: bubblewrap with all
// namespaces and the system's folders; runc and crun with what Docker gives a
// container, of which the list of system calls is an approximation (see
// dockerSeccomp); nsjail and gVisor with their defaults. All of them see the
// workspace, writable, and the system's folders, read-only.
func (s *scene) peers() ([]box, error) {
	bundles := filepath.Join(s.dir, "bundles")
	oci := func(tool string, flags ...string) box {
		base := append([]string{tool, "--root", filepath.Join(s.dir, tool)}, flags...)
		return box{
			name: tool + " run, with Docker's capabilities and nearly its list of system calls",
			args: func(n int, command []string) []string {
				bundle := filepath.Join(bundles, id(tool, n))
				if err := s.writeBundle(bundle, command); err != nil {
					return []string{"sh", "-c", `echo "$0" >&2; exit 1`, err.Error()}
				}
				return append(slices.Clip(base), "run", "--bundle", bundle, id(tool, n))
			},
			clean: func(n int) []string { return append(slices.Clip(base), "delete", "--force", id(tool, n)) },
		}
	}
	crun := oci("crun")
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
		oci("runc"),
		crun,
		{
			name: "nsjail, mode once, root /",
			args: func(_ int, command []string) []string {
				return append([]string{
					"nsjail", "--quiet", "--mode", "o", "--chroot", "/", "--bindmount", s.workspace, "--cwd", s.workspace, "--",
					filepath.Join(s.workspace, command[0]),
				}, command[1:]...)
			},
		},
		oci("runsc", "--network=none", "--ignore-cgroups"),
	}
	for i, b := range all {
		tool, _, _ := strings.Cut(b.name, " ")
		tool = strings.TrimSuffix(tool, ",")
		if _, err := exec.LookPath(tool); err != nil {
			all[i].missing = "not installed"
		}
		if tool == "runsc" {
			all[i].name = "runsc run, the same bundle"
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

type object = map[string]any

// writeBundle makes an OCI bundle that runs one command as Docker would.
func (s *scene) writeBundle(bundle string, command []string) error {
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
		mount("/usr", "bind", "/usr", "bind", "ro"),
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
			mounts = append(mounts, mount("/"+dir, "bind", "/"+dir, "bind", "ro"))
		}
	}
	caps := []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
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
			"seccomp":       dockerSeccomp(),
		},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600)
}

// dockerSeccomp is an approximation of Docker's default list of system calls, in
// our own words: everything but the calls that Docker's manual names as blocked.
// Docker's own list says what is allowed instead, and so also refuses calls that
// are too rare or too new to be named there. A peer that is measured with this
// may look worse than it is in calls that no row here makes, never better.
func dockerSeccomp() object {
	const eperm, enosys = 1, 38
	deny := func(errno int, names ...string) object {
		return object{"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno}
	}
	// Any of the bits of the new namespaces in clone's flags; one rule a bit,
	// since a rule compares masked bits with one value.
	calls := []object{
		deny(enosys, "clone3"),
		deny(eperm, strings.Fields(`acct add_key bpf clock_adjtime clock_settime create_module delete_module finit_module
			get_kernel_syms get_mempolicy init_module ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind
			mount move_pages nfsservctl open_by_handle_at perf_event_open pivot_root process_vm_readv process_vm_writev
			query_module quotactl reboot request_key set_mempolicy setns settimeofday stime swapon swapoff sysfs _sysctl
			umount umount2 unshare uselib userfaultfd ustat vm86 vm86old
			fsopen fsconfig fsmount fspick move_mount open_tree mount_setattr
			io_uring_setup io_uring_enter io_uring_register`)...),
	}
	for _, bit := range []uint64{0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000} {
		rule := deny(eperm, "clone")
		rule["args"] = []object{{"index": 0, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ"}}
		calls = append(calls, rule)
	}
	vsock := deny(eperm, "socket")
	vsock["args"] = []object{{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}}
	persona := deny(eperm, "personality")
	persona["args"] = []object{{"index": 0, "value": 0x40000, "valueTwo": 0x40000, "op": "SCMP_CMP_MASKED_EQ"}}
	arches := map[string][]string{
		"amd64": {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"},
		"arm64": {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"},
	}
	return object{"defaultAction": "SCMP_ACT_ALLOW", "architectures": arches[runtime.GOARCH], "syscalls": append(calls, vsock, persona)}
}
