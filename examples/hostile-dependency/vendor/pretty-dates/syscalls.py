# SPDX-License-Identifier: Apache-2.0

"""The attempts of syscalls.c, for machines without a C compiler."""

import ctypes
import errno
import os
import platform
import signal
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

# x86-64 and arm64; asm/unistd_64.h and asm-generic/unistd.h
ARM = platform.machine() == "aarch64"
CALLS = {
    "ptrace": (101, 117), "socket": (41, 198), "io_uring_setup": (425, 425), "bpf": (321, 280),
    "keyctl": (250, 219), "add_key": (248, 217), "mount": (165, 40), "chroot": (161, 51),
    "unshare": (272, 97), "clone": (56, 220),
}


def attempt(what, call, *args):
    words = [a if isinstance(a, (bytes, ctypes.Array)) else ctypes.c_long(a) for a in args]
    result = libc.syscall(ctypes.c_long(CALLS[call][ARM]), *words)
    if call == "clone" and result == 0:
        os._exit(0)
    if result < 0:
        name = errno.errorcode.get(ctypes.get_errno(), "?")
        print(f"attempt: {what}: denied ({name})", flush=True)
    else:
        print(f"attempt: {what}: SUCCEEDED", flush=True)


victim = os.fork()
if victim == 0:
    time.sleep(20)
    os._exit(0)
attempt("trace another process, ptrace", "ptrace", 0x4206, victim, 0, 0)  # PTRACE_SEIZE
os.kill(victim, signal.SIGKILL)
os.waitpid(victim, 0)
attempt("read a raw network, socket(AF_PACKET)", "socket", 17, 3, 0x0300)
attempt("talk to the kernel's crypto, socket(AF_ALG)", "socket", 38, 5, 0)
attempt("make an io_uring, io_uring_setup", "io_uring_setup", 4, ctypes.create_string_buffer(256))
array_map = (ctypes.c_uint32 * 32)(2, 4, 4, 1)  # BPF_MAP_TYPE_ARRAY, key, value, entries
attempt("make a BPF map, bpf", "bpf", 0, array_map, ctypes.sizeof(array_map))
attempt("look at the session's keys, keyctl", "keyctl", 0, -3, 1)
attempt("store a key, add_key", "add_key", b"user", b"example", b"x", 1, -2)
attempt("mount a file system, mount", "mount", b"none", b"/mnt", b"tmpfs", 0, 0)
attempt("make a user namespace, unshare", "unshare", 0x10020000)
attempt("make one by clone", "clone", 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
# Last: a process that has left the root may not make a user namespace.
attempt("leave the root, chroot", "chroot", b"/tmp")
