// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seccompRows are the attempts of the class seccomp that kernel has not. Most
// rows close descriptor 0 first, so that what they open next gets its number.
func seccompRows() []Attempt {
	return append(portableRows(), x86Rows()...)
}

func portableRows() []Attempt {
	eperm, einval, enosys := []string{"EPERM"}, []string{"EINVAL"}, []string{"ENOSYS"}
	one := func(what string, calls ...call) func([]string) (string, error) {
		return func([]string) (string, error) { return what, inChild(calls...) }
	}
	return []Attempt{
		{
			ID: "sc-02", What: "prctl(PR_SET_NO_NEW_PRIVS, 0)", Want: einval, Control: Nowhere, NoControl: "no kernel takes it back",
			run: one("new privileges", call{unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 0}),
		},
		{
			ID: "sc-05", Name: "bpf", What: "bpf(BPF_PROG_LOAD) of a program that returns 0", Want: eperm, Control: AsRoot,
			run: func([]string) (string, error) {
				code := [2]uint64{0xb7, 0x95} // r0 = 0; exit
				attr := [16]uint64{           // bpf(2): type and count, code, licence
					0: unix.BPF_PROG_TYPE_SOCKET_FILTER | 2<<32, 1: uint64(pointer(&code)), 2: uint64(text("GPL")),
				}
				return "a program", inChild(call{unix.SYS_BPF, unix.BPF_PROG_LOAD, pointer(&attr), 128})
			},
		},
		{
			ID: "sc-08", What: "strace -f true", Tool: "strace", Control: InUserNamespace,
			// hostile refuses pause(2) too, with which strace's self-test waits: it mostly
			// gives up before it would print the errno of ptrace.
			WantCI: eperm, Want: []string{"exit non-zero", "EPERM"},
			run: runs("strace", "-f", "true"),
		},
		{
			ID: "sc-09", What: "gdb -batch -ex run true", Want: []string{"cannot trace"}, Control: InUserNamespace, Tool: "gdb",
			run: func([]string) (string, error) {
				out, err := output(nil, "gdb", "-batch", "-nx", "-ex", "run", "true")
				if strings.Contains(out, "exited normally") {
					return "gdb ran true", nil
				}
				if errno, ok := errnoIn(out); err != nil && ok && errno == syscall.EPERM {
					return "", found("cannot trace")
				}
				return "", fmt.Errorf("gdb failed for another reason: %w: %s", err, out)
			},
		},
		{
			ID: "sc-10-hardware", Name: "perf_event_open", What: "perf_event_open of the hardware's cycle counter", Want: eperm, Control: AsRoot, Absent: "ENOENT",
			run: func([]string) (string, error) {
				attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_HARDWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Config: unix.PERF_COUNT_HW_CPU_CYCLES}
				return "a counter", inChild(call{unix.SYS_PERF_EVENT_OPEN, pointer(&attr), 0, ^uintptr(0), ^uintptr(0), 0})
			},
		},
		{
			ID: "sc-14", What: "io_uring_enter", Want: enosys, Control: InUserNamespace,
			run: func([]string) (string, error) {
				var params [30]uint32 // struct io_uring_params, 120 bytes
				return "entered", inChild(
					call{unix.SYS_CLOSE, 0},
					call{unix.SYS_IO_URING_SETUP, 8, pointer(&params)},
					call{unix.SYS_IO_URING_ENTER, 0, 0, 0, 0, 0, 0},
				)
			},
		},
		{
			// glibc's flags but for those that want a stack and thread-local memory: with
			// CLONE_VFORK the thread runs on the stack of the one that waits for it.
			ID: "sc-15", What: "clone3 of a thread", Want: enosys, Control: InUserNamespace,
			run: func([]string) (string, error) {
				const thread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM
				args := [11]uint64{0: thread | unix.CLONE_VFORK}
				return "a thread", inChild(call{unix.SYS_CLONE3, pointer(&args), 88})
			},
		},
		{
			ID: "sc-15-thread", What: "a thread of glibc's, which takes clone then", Allowed: true, Control: InUserNamespace, Tool: "python3",
			run: runs("python3", "-c", "import threading; t = threading.Thread(target=print); t.start(); t.join()"),
		},
		{
			ID: "sc-16", What: "the unknown system call 1000", Want: enosys, Control: Nowhere, NoControl: "no kernel has it: a program must be told, not ended",
			run: one("something", call{1000}),
		},
		{
			ID: "sc-17-setarch", What: "setarch -R true", Want: eperm, Control: InUserNamespace, Tool: "setarch",
			run: runs("setarch", "-R", "true"),
		},
		{
			ID: "sc-22-acct", What: "acct(NULL), which ends accounting", Want: enosys, Control: Nowhere, NoControl: "it would change this machine",
			run: one("no accounting", call{unix.SYS_ACCT, 0}),
		},
		{
			// Q_SYNC of all file systems: what is on the disk is made up to date.
			ID: "sc-22-quota", What: "quotactl(Q_SYNC)", Want: enosys, Control: AsRoot, Absent: "ENOSYS",
			run: one("synchronized", call{unix.SYS_QUOTACTL, 0x800001 << 8, 0, 0, 0}),
		},
		{
			ID: "sc-23", What: "syslog(SYSLOG_ACTION_SIZE_BUFFER)", Want: enosys, Control: AsRoot,
			run: one("the size", call{unix.SYS_SYSLOG, 10, 0, 0}),
		},
		{
			ID: "sc-23-dmesg", What: "dmesg", Want: enosys, Control: AsRoot, Tool: "dmesg",
			run: runs("dmesg"),
		},
		{
			ID: "sc-24", What: "fanotify_init(FAN_CLASS_CONTENT)", Want: enosys, Control: AsRoot, Absent: "EINVAL", // without permission events
			run: one("a group", call{unix.SYS_FANOTIFY_INIT, unix.FAN_CLASS_CONTENT, unix.O_RDONLY}),
		},
		{
			ID: "sc-25", What: "pipe2(O_NOTIFICATION_PIPE)", Want: einval, Control: InUserNamespace, Absent: "ENOPKG",
			run: func([]string) (string, error) {
				var pair [2]int32
				return "a queue", inChild(call{unix.SYS_PIPE2, pointer(&pair), unix.O_EXCL})
			},
		},
		{
			ID: "sc-26", What: "setsockopt(SOL_IP, IPT_SO_SET_REPLACE)", Want: eperm, Control: InUserNamespace, Absent: "ENOPROTOOPT",
			run: replaceTable,
		},
		{
			ID: "sc-27-config", What: "fsconfig of a tmpfs", Want: enosys, Control: InUserNamespace,
			run: one("configured",
				call{unix.SYS_CLOSE, 0},
				call{unix.SYS_FSOPEN, text("tmpfs"), 0},
				call{unix.SYS_FSCONFIG, 0, unix.FSCONFIG_SET_STRING, text("size"), text("1m"), 0},
			),
		},
		{
			ID: "sc-28", What: "madvise(MADV_MERGEABLE)", Want: einval, Control: InUserNamespace, Needs: "/sys/kernel/mm/ksm",
			run: onPage("merged", func(page uintptr) call { return call{unix.SYS_MADVISE, page, pageSize, unix.MADV_MERGEABLE} }),
		},
		{
			ID: "sc-29", What: "mbind", Want: enosys, Control: InUserNamespace, Absent: "ENOSYS",
			run: onPage("bound", func(page uintptr) call { return call{unix.SYS_MBIND, page, pageSize, 0, 0, 0, 0} }),
		},
		{
			ID: "sc-29-policy", What: "set_mempolicy", Want: enosys, Control: InUserNamespace, Absent: "ENOSYS",
			run: one("set", call{unix.SYS_SET_MEMPOLICY, 0, 0, 0}),
		},
		{
			ID: "sc-29-move", What: "move_pages, which tells where a page is", Want: enosys, Control: InUserNamespace, Absent: "ENOSYS",
			run: onPage("told", func(page uintptr) call {
				status := int32(0)
				return call{unix.SYS_MOVE_PAGES, 0, 1, pointer(&page), 0, pointer(&status), 0}
			}),
		},
	}
}

const pageSize = 1 << 16 // a multiple of every page size

// onPage makes a call with the address of memory of its own.
func onPage(what string, do func(page uintptr) call) func([]string) (string, error) {
	return func([]string) (string, error) {
		b, err := unix.Mmap(-1, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return "", broken("mmap", err)
		}
		b[0] = 1
		return what, inChild(do(pointer(&b[0])))
	}
}

// replaceTable puts the rules of the iptables table filter in place of
// themselves (linux/netfilter_ipv4/ip_tables.h). Where reading them is refused
// it goes on with an empty table: the call is the same.
func replaceTable([]string) (string, error) {
	const setReplace, getInfo, getEntries = 64, 64, 65
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return "", broken("socket", err)
	}
	defer unix.Close(fd) //nolint:errcheck // the process ends
	type info struct {
		Name         [32]byte
		Hooks        uint32
		Entry        [5]uint32
		Underflow    [5]uint32
		Number, Size uint32
	}
	get := func(option int, p unsafe.Pointer, size uint32) {
		unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_IP, uintptr(option), uintptr(p), uintptr(unsafe.Pointer(&size)), 0) //nolint:errcheck // as above
	}
	var i info
	copy(i.Name[:], "filter")
	get(getInfo, unsafe.Pointer(&i), uint32(unsafe.Sizeof(i)))

	const rulesAt = 40 // in struct ipt_get_entries
	rules := make([]uint64, (rulesAt+i.Size)/8+1)
	name := unsafe.Slice((*byte)(unsafe.Pointer(&rules[0])), len(rules)*8)
	copy(name, "filter")
	*(*uint32)(unsafe.Pointer(&name[32])) = i.Size
	get(getEntries, unsafe.Pointer(&rules[0]), rulesAt+i.Size)

	type replace struct {
		Name                [32]byte
		Hooks, Number, Size uint32
		Entry, Underflow    [5]uint32
		Counters            uint32
		To                  uintptr
	}
	r := replace{Name: i.Name, Hooks: i.Hooks, Number: i.Number, Size: i.Size, Entry: i.Entry, Underflow: i.Underflow, Counters: i.Number}
	counters := make([][2]uint64, i.Number+1)
	r.To = pointer(&counters[0])
	table := make([]uint64, (uint32(unsafe.Sizeof(r))+i.Size)/8+1)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&table[0])), len(table)*8)
	*(*replace)(unsafe.Pointer(&table[0])) = r
	copy(b[unsafe.Sizeof(r):], name[rulesAt:rulesAt+i.Size])
	return "rules replaced", inChild(call{unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_IP, setReplace, pointer(&table[0]), unsafe.Sizeof(r) + uintptr(i.Size)})
}
