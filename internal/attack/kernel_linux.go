// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func kernel() []Attempt {
	eperm, enosys := []string{"EPERM"}, []string{"ENOSYS"}
	const module = "it would reach into this machine's kernel"
	one := func(what string, calls ...call) func([]string) (string, error) {
		return func([]string) (string, error) { return what, inChild(calls...) }
	}
	return []Attempt{
		{
			ID: "cap-02", Name: "prctl_dumpable", What: "prctl(PR_SET_DUMPABLE, 1)", Want: eperm, Control: InUserNamespace,
			run: one("dumpable", call{unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1}),
		},
		{
			ID: "sc-01", Name: "prctl_seccomp_disable", What: "prctl(PR_SET_SECCOMP) with a filter that allows everything", Want: eperm, Control: InUserNamespace,
			run: allowEverything,
		},
		{
			ID: "sc-01-off", Name: "prctl_seccomp_disable", What: "prctl(PR_SET_SECCOMP, 0), and no filter afterwards", Want: eperm,
			Control: Nowhere, NoControl: "no kernel removes a filter; it proves that ours is still there",
			run: seccompOff,
		},
		{
			ID: "sc-03", Name: "init_module", What: "init_module", Want: eperm, Control: Nowhere, NoControl: module,
			run: one("a module", call{unix.SYS_INIT_MODULE, text("not a module"), 12, text("")}),
		},
		{
			ID: "sc-03-finit", Name: "finit_module", What: "finit_module", Want: eperm, Control: Nowhere, NoControl: module,
			run: one("a module", call{unix.SYS_FINIT_MODULE, 0, text(""), 0}),
		},
		{
			ID: "sc-03-delete", Name: "delete_module", What: "delete_module", Want: eperm, Control: Nowhere, NoControl: module,
			run: one("a module", call{unix.SYS_DELETE_MODULE, text("zviz_no_such_module"), unix.O_NONBLOCK}),
		},
		{
			ID: "sc-04", Name: "ptrace", What: "ptrace(PTRACE_TRACEME)", Want: eperm, Control: InUserNamespace,
			run: one("traced", call{unix.SYS_PTRACE, unix.PTRACE_TRACEME}),
		},
		{
			ID: "sc-04-seize", Name: "ptrace", What: "ptrace(PTRACE_SEIZE) of the parent", Want: eperm, Control: InUserNamespace,
			run: func([]string) (string, error) {
				return "the parent is traced", inChild(call{unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(os.Getpid())})
			},
		},
		{
			ID: "sc-05-map", Name: "bpf", What: "bpf(BPF_MAP_CREATE) of an array", Want: eperm, Control: AsRoot,
			run: func([]string) (string, error) {
				attr := [32]uint32{2, 4, 4, 1} // bpf(2): BPF_MAP_TYPE_ARRAY, key size, value size, entries
				return "a map", inChild(call{unix.SYS_BPF, 0, pointer(&attr), 128})
			},
		},
		{
			ID: "sc-06", Name: "userfaultfd", What: "userfaultfd(UFFD_USER_MODE_ONLY)", Want: eperm, Control: InUserNamespace,
			run: one("a descriptor", call{unix.SYS_USERFAULTFD, 1}),
		},
		{
			ID: "sc-07", Name: "kexec_load", What: "kexec_load of no segments, which unloads", Want: eperm,
			Control: Nowhere, NoControl: "it would change which kernel this machine boots",
			run: one("unloaded", call{unix.SYS_KEXEC_LOAD, 0, 0, 0, 0}),
		},
		{
			ID: "sc-10", Name: "perf_event_open", What: "perf_event_open of the own CPU clock", Want: eperm, Control: AsRoot,
			run: func([]string) (string, error) {
				attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Config: unix.PERF_COUNT_SW_CPU_CLOCK}
				return "a counter", inChild(call{unix.SYS_PERF_EVENT_OPEN, pointer(&attr), 0, ^uintptr(0), ^uintptr(0), 0})
			},
		},
		{
			ID: "sc-11", Name: "add_key", What: "add_key to the process keyring", Want: eperm, Control: InUserNamespace,
			run: one("a key", addKey()),
		},
		{
			ID: "sc-11-request", Name: "request_key", What: "request_key of a key that was added", Want: eperm, Control: InUserNamespace,
			run: one("a key", addKey(), call{unix.SYS_REQUEST_KEY, text("user"), text("zviz-attack"), 0, 0}),
		},
		{
			ID: "sc-12", Name: "keyctl", What: "keyctl(KEYCTL_GET_KEYRING_ID) of the process keyring", Want: enosys, Control: InUserNamespace,
			run: one("a keyring", call{unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, ^uintptr(1), 1}),
		},
		{
			ID: "sc-13", What: "io_uring_setup", Want: enosys, Control: InUserNamespace,
			run: func([]string) (string, error) {
				var params [30]uint32 // struct io_uring_params, 120 bytes
				return "a ring", inChild(call{unix.SYS_IO_URING_SETUP, 4, pointer(&params)})
			},
		},
		{
			ID: "sc-17", What: "personality(ADDR_NO_RANDOMIZE)", Want: eperm, Control: InUserNamespace,
			run: one("no randomized addresses", call{unix.SYS_PERSONALITY, 0x40000}),
		},
		{
			ID: "sc-19", What: "process_vm_writev to the parent", Want: eperm, Control: InUserNamespace,
			run: func([]string) (string, error) {
				var from, to uint64 = 1, 0
				local := unix.Iovec{Base: (*byte)(unsafe.Pointer(&from)), Len: 8}
				remote := unix.Iovec{Base: (*byte)(unsafe.Pointer(&to)), Len: 8}
				kept = append(kept, &from, &to)
				err := inChild(call{unix.SYS_PROCESS_VM_WRITEV, uintptr(os.Getpid()), pointer(&local), 1, pointer(&remote), 1, 0})
				return fmt.Sprintf("wrote %d into the parent", to), err
			},
		},
		{
			ID: "sc-21", Name: "reboot", What: "reboot(CAD_OFF) with the right magic numbers", Want: eperm,
			Control: Nowhere, NoControl: "it would change this machine",
			run: one("no Ctrl-Alt-Del", call{unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2, unix.LINUX_REBOOT_CMD_CAD_OFF}),
		},
		{
			ID: "sc-22", Name: "swapon", What: "swapon", Want: eperm, Control: Nowhere, NoControl: "it would change this machine",
			run: one("swap", call{unix.SYS_SWAPON, text("swapfile"), 0}),
		},
		{
			ID: "sc-22-off", Name: "swapoff", What: "swapoff", Want: eperm, Control: Nowhere, NoControl: "it would change this machine",
			run: one("no swap", call{unix.SYS_SWAPOFF, text("swapfile")}),
		},
		{
			ID: "sc-27", What: "fsopen of tmpfs, the new way to mount", Want: enosys, Control: InUserNamespace,
			run: one("a file system context", call{unix.SYS_FSOPEN, text("tmpfs"), 0}),
		},
		{
			// Default bubblewrap lets it through: the i386 table has its own numbers.
			ID: "sc-30", What: "a system call through the 32-bit entry, int 0x80", Want: []string{"SIGSYS"}, Control: InUserNamespace, Arch: "amd64",
			run: one("i386 getpid", call{callInt80, 20}),
		},
		{
			ID: "proc-08", What: "type into a terminal, ioctl(TIOCSTI)", Want: eperm, Control: AsRoot,
			run: func([]string) (string, error) { return typeInto(unix.TIOCSTI) },
		},
		{
			// The kernel reads 32 bits of the request; a filter that compares 64 misses
			// this one (CVE-2019-10063).
			ID: "proc-08-high", What: "ioctl(1<<32 | TIOCSTI)", Want: eperm, Control: AsRoot,
			run: func([]string) (string, error) { return typeInto(1<<32 | unix.TIOCSTI) },
		},
	}
}

func addKey() call {
	return call{unix.SYS_ADD_KEY, text("user"), text("zviz-attack"), text("x"), 1, ^uintptr(1)} // KEY_SPEC_PROCESS_KEYRING is -2
}

func allowEverything([]string) (string, error) {
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	program := unix.SockFprog{Len: 1, Filter: &allow}
	return "a filter", inChild(
		call{unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1},
		call{unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, pointer(&program)},
	)
}

func seccompOff([]string) (string, error) {
	err := inChild(call{unix.SYS_PRCTL, unix.PR_SET_SECCOMP, 0})
	f, openErr := os.Open("/proc/self/status")
	if openErr != nil {
		return "", broken("status", openErr)
	}
	defer f.Close() //nolint:errcheck // only read
	for s := bufio.NewScanner(f); s.Scan(); {
		if mode, ok := strings.CutPrefix(s.Text(), "Seccomp:"); ok && strings.TrimSpace(mode) != "2" {
			return "Seccomp: " + strings.TrimSpace(mode), nil
		}
	}
	return "", err
}

// typeInto makes a terminal, takes it as the controlling one and puts a letter
// into its input.
func typeInto(request uintptr) (string, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return "", broken("no terminal to try", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return "", broken("unlock the terminal", err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return "", broken("name the terminal", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return "", broken("no terminal to try", err)
	}
	letter := byte('x')
	err = inChild(
		call{unix.SYS_SETSID},
		call{unix.SYS_IOCTL, slave.Fd(), unix.TIOCSCTTY, 0},
		call{unix.SYS_IOCTL, slave.Fd(), request, pointer(&letter)},
	)
	if errors.Is(err, syscall.EIO) {
		return "", errors.New("the kernel has TIOCSTI switched off for everybody")
	}
	return "typed a letter", err
}
