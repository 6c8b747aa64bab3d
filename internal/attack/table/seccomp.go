// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// seccompVariable names a file with a list of system calls in the form that
// Docker takes by --security-opt seccomp=FILE.
const seccompVariable = "ZVIZ_PEER_SECCOMP"

// containerSeccomp is the filter of the containers, in the form of an OCI
// bundle: what a file of Docker's form says, or near Docker's default if there
// is no file. name is what to call it.
func containerSeccomp(file string) (filter object, name string, err error) {
	if file == "" {
		return approximateSeccomp(), "nearly its list of system calls", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", seccompVariable, err)
	}
	var p dockerProfile
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, "", fmt.Errorf("%s: %s: not a seccomp profile in Docker's form: %w", seccompVariable, file, err)
	}
	release, err := kernelRelease()
	if err != nil {
		return nil, "", err
	}
	filter, err = p.resolve(runtime.GOARCH, containerCaps(), release)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %s: %w", seccompVariable, file, err)
	}
	return filter, "the list of system calls of " + seccompVariable, nil
}

// dockerProfile is the form of Docker's default.json: an OCI filter whose rules
// depend on the processor, the capabilities and the kernel.
type dockerProfile struct {
	DefaultAction   string `json:"defaultAction"`
	DefaultErrnoRet *uint  `json:"defaultErrnoRet"`
	ArchMap         []struct {
		Architecture     string   `json:"architecture"`
		SubArchitectures []string `json:"subArchitectures"`
	} `json:"archMap"`
	Syscalls []struct {
		Names    []string  `json:"names"`
		Action   string    `json:"action"`
		ErrnoRet *uint     `json:"errnoRet"`
		Args     []object  `json:"args"`
		Includes condition `json:"includes"`
		Excludes condition `json:"excludes"`
	} `json:"syscalls"`
}

// condition says when a rule is part of the filter.
type condition struct {
	Arches    []string `json:"arches"`
	Caps      []string `json:"caps"`
	MinKernel string   `json:"minKernel"`
}

// resolve returns the OCI filter for a processor, by Go's name, for
// capabilities and for a kernel.
func (p dockerProfile) resolve(arch string, caps []string, release version) (object, error) {
	native := map[string]string{"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"}[arch]
	var arches []string
	for _, a := range p.ArchMap {
		if a.Architecture == native {
			arches = append([]string{native}, a.SubArchitectures...)
		}
	}
	if p.DefaultAction == "" || arches == nil || len(p.Syscalls) == 0 {
		return nil, fmt.Errorf("no defaultAction, no syscalls or no archMap for %s: not a seccomp profile in Docker's form", arch)
	}
	var calls []object
	for _, c := range p.Syscalls {
		since, err := parseVersion(c.Includes.MinKernel)
		if err != nil {
			return nil, err
		}
		until, err := parseVersion(c.Excludes.MinKernel)
		if err != nil {
			return nil, err
		}
		granted := func(name string) bool { return slices.Contains(caps, name) }
		lacking := func(name string) bool { return !granted(name) }
		// Of the capabilities of an include all are needed; of an exclude one suffices.
		if len(c.Includes.Arches) > 0 && !slices.Contains(c.Includes.Arches, arch) || slices.Contains(c.Excludes.Arches, arch) ||
			slices.ContainsFunc(c.Includes.Caps, lacking) || slices.ContainsFunc(c.Excludes.Caps, granted) ||
			since.after(release) || c.Excludes.MinKernel != "" && !until.after(release) {
			continue
		}
		rule := object{"names": c.Names, "action": c.Action}
		if c.ErrnoRet != nil {
			rule["errnoRet"] = *c.ErrnoRet
		}
		if len(c.Args) > 0 {
			rule["args"] = c.Args
		}
		calls = append(calls, rule)
	}
	filter := object{"defaultAction": p.DefaultAction, "architectures": arches, "syscalls": calls}
	if p.DefaultErrnoRet != nil {
		filter["defaultErrnoRet"] = *p.DefaultErrnoRet
	}
	return filter, nil
}

// version is a kernel's, its first two numbers.
type version struct{ major, minor int }

func (v version) after(w version) bool {
	return v.major > w.major || v.major == w.major && v.minor > w.minor
}

func parseVersion(s string) (v version, err error) {
	if s == "" {
		return v, nil
	}
	if _, err := fmt.Sscanf(s, "%d.%d", &v.major, &v.minor); err != nil {
		return v, fmt.Errorf("kernel version %q: want MAJOR.MINOR: %w", s, err)
	}
	return v, nil
}

func kernelRelease() (version, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return version{}, os.NewSyscallError("uname", err)
	}
	return parseVersion(unix.ByteSliceToString(u.Release[:]))
}

// approximateSeccomp is near Docker's default list of system calls, in our own
// words: everything but the calls that Docker's manual names as blocked. The
// manual still names process_vm_readv and process_vm_writev; Docker allows both
// since Linux 4.8. Docker's own list says what is allowed instead, and so also
// refuses calls that are too rare or too new to be named there; no row here makes
// one, and with Docker's own list every row ends the same.
func approximateSeccomp() object {
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
			mount move_pages nfsservctl open_by_handle_at perf_event_open pivot_root
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
