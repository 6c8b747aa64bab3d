// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/sandbox/cgroup"
	"github.com/zviz/run/sandbox/landlock"
)

// Measure asks this machine what it offers.
func Measure() (Probe, error) {
	p := Probe{Arch: runtime.GOARCH}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return p, os.NewSyscallError("uname", err)
	}
	p.Kernel = unix.ByteSliceToString(u.Release[:])
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return p, os.NewSyscallError("getrlimit", err)
	}
	p.OpenFilesMax = lim.Max
	lastCap, err := readNumber("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return p, err
	}
	p.LastCap = int(lastCap)
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return p, os.NewSyscallError("sysinfo", err)
	}
	p.MemoryBytes = int64(si.Totalram * uint64(si.Unit))
	if p.Cgroups, err = cgroup.Find("/proc"); err != nil {
		return p, err
	}
	if p.User, err = measureUser(); err != nil {
		return p, err
	}
	p.ProcMasks = procMasks()
	p.measureLayers()
	return p, nil
}

func (p *Probe) measureLayers() {
	root := os.Geteuid() == 0
	offer := func(l Layer, ok bool, evidence, fix string) {
		p.Layers = append(p.Layers, LayerOffer{Name: l, OK: ok, Evidence: evidence, Fix: fix})
	}
	for _, l := range []Layer{LayerPids, LayerMemory, LayerCPU} {
		where := p.Cgroups.Where(string(l))
		switch {
		case l == LayerPids && (where == "" || !writable(where[strings.LastIndex(where, " ")+1:])) && kernelAtLeast(p.Kernel, 5, 14):
			p.PidsByRlimit = true
			offer(l, true, "RLIMIT_NPROC of the job's user namespace, since no cgroup is writable", "")
		case where == "":
			offer(l, false, "no cgroup hierarchy with the "+string(l)+" controller is mounted", "mount -t cgroup2 none /sys/fs/cgroup, or accept the gap: --allow-missing "+string(l))
		case !writable(where[strings.LastIndex(where, " ")+1:]):
			offer(l, false, where+" is not writable", delegateFix)
		default:
			offer(l, true, where, "")
		}
	}
	switch {
	case p.Cgroups.V2 == "":
		offer(LayerKill, false, "no cgroup v2 is mounted", "mount -t cgroup2 none /sys/fs/cgroup/unified, or accept the gap: --allow-missing kill")
	case !p.Cgroups.Kill:
		offer(LayerKill, false, "no cgroup.kill at "+p.Cgroups.V2+" (Linux 5.14), or it is not writable", delegateFix)
	default:
		offer(LayerKill, true, "cgroup.kill at "+p.Cgroups.V2, "")
	}
	for _, ns := range []struct {
		layer Layer
		file  string
	}{{LayerPID, "pid"}, {LayerMount, "mnt"}, {LayerIPC, "ipc"}, {LayerUTS, "uts"}, {LayerNet, "net"}, {LayerCgroup, "cgroup"}} {
		_, err := os.Stat("/proc/self/ns/" + ns.file)
		switch {
		case err != nil:
			offer(ns.layer, false, "the kernel has no "+ns.file+" namespaces", "")
		case !root:
			offer(ns.layer, false, "making one needs a user namespace or root", "see the layer user, or: sudo zviz-runner …")
		default:
			offer(ns.layer, true, "/proc/self/ns/"+ns.file, "")
		}
	}
	offer(LayerRootfs, root, evidence(root, "mount API of Linux 5.12", "mounting needs root"), evidence(root, "", "sudo zviz-runner …"))
	_, err := os.Stat("/proc/self/ns/user")
	offer(LayerUser, err == nil, evidence(err == nil, "/proc/self/ns/user", "the kernel has no user namespaces"), "")
	offer(LayerRlimits, true, fmt.Sprintf("hard limit of open files %d", p.OpenFilesMax), "")
	offer(LayerNoNewPrivs, true, "Linux 3.5", "")
	abi, err := landlock.ABI()
	p.LandlockABI = abi
	switch {
	case err != nil:
		offer(LayerLandlock, false, "kernel offers ABI 0, need 2: "+lsms(), "add landlock to lsm= on the kernel command line, or accept the gap: --allow-missing landlock")
	case abi < landlock.MinABI:
		offer(LayerLandlock, false, fmt.Sprintf("kernel offers ABI %d, need %d", abi, landlock.MinABI), "use Linux 5.19 or newer, or accept the gap: --allow-missing landlock")
	default:
		e := fmt.Sprintf("ABI %d", abi)
		if un := landlock.Ungoverned(abi); len(un) > 0 {
			e += ", ungoverned: " + strings.Join(un, " ")
		}
		offer(LayerLandlock, true, e, "")
	}
	offer(LayerCapabilities, true, fmt.Sprintf("%d known to the kernel", p.LastCap+1), "")
	if err := seccompNotify(); err != nil {
		offer(LayerSeccomp, false, "no filters with user notification: "+err.Error(), "use a kernel with CONFIG_SECCOMP_FILTER (5.0 or newer), or accept the gap: --allow-missing seccomp")
	} else {
		offer(LayerSeccomp, true, "filters with user notification", "")
	}
}

// delegateFix says how an ordinary user gets a control group.
const delegateFix = "systemd-run --user --scope -p Delegate=yes zviz-runner …, run as root, or accept the gap: --allow-missing cgroup"

// kernelAtLeast compares a release of uname(2).
func kernelAtLeast(release string, major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}

func evidence(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}

func writable(dir string) bool { return unix.Access(dir, unix.W_OK) == nil }

func lsms() string {
	b, err := os.ReadFile("/sys/kernel/security/lsm")
	if err != nil {
		return "/sys/kernel/security/lsm cannot be read"
	}
	return `"landlock" is not in /sys/kernel/security/lsm (` + strings.TrimSpace(string(b)) + ")"
}

// seccompNotify asks whether the kernel knows SECCOMP_RET_USER_NOTIF
// (seccomp(2), SECCOMP_GET_ACTION_AVAIL).
func seccompNotify() error {
	action := uint32(0x7fc00000)
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, 2, 0, uintptr(unsafe.Pointer(&action))); e != 0 { //nolint:gosec // the kernel reads four bytes
		return e
	}
	return nil
}

// procMasks lists what /proc shows of the host and no job needs: keys, kernel
// memory and symbols, timers, buses, switches of the machine.
func procMasks() []ProcMask {
	var out []ProcMask
	for name := range strings.FieldsSeq("kcore keys key-users timer_list timer_stats sched_debug sysrq-trigger latency_stats kallsyms kpagecount kpageflags kpagecgroup kmsg config.gz interrupts softirqs vmallocinfo slabinfo pagetypeinfo modules iomem ioports acpi asound scsi bus irq fs driver dynamic_debug mtrr tty") {
		st, err := os.Lstat("/proc/" + name)
		if err != nil {
			continue
		}
		out = append(out, ProcMask{Path: name, Dir: st.IsDir()})
	}
	return out
}

func readNumber(file string) (uint64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return n, nil
}
