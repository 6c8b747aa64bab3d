// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

#define SYS_read 0
#define SYS_write 1
#define SYS_mmap 9
#define SYS_rt_sigprocmask 14
#define SYS_ioctl 16
#define SYS_clone 56
#define SYS_execve 59
#define SYS_wait4 61
#define SYS_kill 62
#define SYS_fcntl 72
#define SYS_chdir 80
#define SYS_setsid 112
#define SYS_rt_sigtimedwait 128
#define SYS_prctl 157
#define SYS_exit_group 231

#define CALL(nr) \
	MOVQ $nr, AX; \
	SYSCALL

// The program of process 1. It is copied out of this binary, so it uses relative
// jumps and the fixed address of its data only; see image_linux.go for the header's
// layout. R12 header, R13 the command's pid, R14 the path tried, R15 the errno
// to report. 1024(SP) and below is scratch: the kernel gave us a stack.
TEXT ·code(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $0x600000, R12
	SUBQ $1024, SP
	// prctl(PR_SET_DUMPABLE, 0)
	MOVQ $4, DI
	XORQ SI, SI
	XORQ DX, DX
	XORQ R10, R10
	XORQ R8, R8
	CALL(SYS_prctl)
	// prctl(PR_SET_NAME): execveat(2) of a descriptor names it after a number.
	MOVQ $15, DI
	LEAQ 32(R12), SI
	XORQ DX, DX
	XORQ R10, R10
	XORQ R8, R8
	CALL(SYS_prctl)
	// Every signal is taken by rt_sigtimedwait; a blocked one is never ignored,
	// which it would be for a process 1 without handlers (signal(7)).
	MOVQ $-1, AX
	MOVQ AX, 512(SP)
	MOVQ $2, DI               // SIG_SETMASK
	LEAQ 512(SP), SI
	XORQ DX, DX
	MOVQ $8, R10
	CALL(SYS_rt_sigprocmask)
	// The command must not get descriptors 3 (control) and 4 (status).
	MOVQ $3, DI
	MOVQ $2, SI               // F_SETFD
	MOVQ $1, DX               // FD_CLOEXEC
	CALL(SYS_fcntl)
	MOVQ $4, DI
	MOVQ $2, SI
	MOVQ $1, DX
	CALL(SYS_fcntl)
	// A waiting one: the runner says how many bytes of a file the command is.
	MOVQ 64(R12), DI
	TESTQ DI, DI
	JZ   known
	MOVQ $2, SI
	MOVQ $1, DX
	CALL(SYS_fcntl)
	MOVQ $3, DI
	MOVQ SP, SI
	MOVQ $8, DX
	CALL(SYS_read)
	CMPQ AX, $8
	JNE  die
	MOVQ $0x10000000, DI
	MOVQ 0(SP), SI
	MOVQ $1, DX               // PROT_READ
	MOVQ $0x100002, R10       // MAP_PRIVATE | MAP_FIXED_NOREPLACE
	MOVQ 64(R12), R8
	XORQ R9, R9
	CALL(SYS_mmap)
	CMPQ AX, $0x10000000
	JNE  die
	MOVQ AX, R12

known:
	// SIGIO when the runner's end of the control pipe closes.
	MOVQ $3, DI
	MOVQ $8, SI               // F_SETOWN
	MOVQ $1, DX
	CALL(SYS_fcntl)
	MOVQ $3, DI
	MOVQ $4, SI               // F_SETFL
	MOVQ $0x2800, DX          // O_ASYNC | O_NONBLOCK
	CALL(SYS_fcntl)
	TESTQ AX, AX
	JNE  die
	// clone(SIGCHLD)
	MOVQ $17, DI
	XORQ SI, SI
	XORQ DX, DX
	XORQ R10, R10
	XORQ R8, R8
	CALL(SYS_clone)
	TESTQ AX, AX
	JZ   child
	JS   nofork
	MOVQ AX, R13

control:
	MOVQ $3, DI
	MOVQ SP, SI
	MOVQ $1, DX
	CALL(SYS_read)
	TESTQ AX, AX
	JZ   die                  // end of file: the runner is gone

wait:
	MOVQ $-1, AX
	MOVQ AX, 512(SP)
	LEAQ 512(SP), DI          // every signal
	XORQ SI, SI
	XORQ DX, DX
	MOVQ $8, R10
	CALL(SYS_rt_sigtimedwait)
	CMPQ AX, $17              // SIGCHLD
	JEQ  reap
	CMPQ AX, $29              // SIGIO
	JEQ  control
	TESTQ AX, AX
	JLE  wait
	MOVQ R13, DI
	NEGQ DI
	MOVQ AX, SI
	MOVQ AX, R14
	CALL(SYS_kill)
	TESTQ AX, AX
	JZ   wait
	MOVQ R13, DI              // no such group yet: the command has not called setsid
	MOVQ R14, SI
	CALL(SYS_kill)
	JMP  wait

reap:
	MOVQ $-1, DI
	LEAQ 4(SP), SI
	MOVQ $0x40000001, DX      // __WALL | WNOHANG
	XORQ R10, R10
	CALL(SYS_wait4)
	CMPQ AX, $-10             // ECHILD: nobody is left to stay for
	JEQ  die
	TESTQ AX, AX
	JLE  wait
	CMPQ AX, R13
	JNE  reap
	MOVL $2, 0(SP)            // record: the command's wait status, which wait4 put at 4(SP)
	MOVQ $4, DI
	MOVQ SP, SI
	MOVQ $8, DX
	CALL(SYS_write)
	MOVQ 48(R12), AX          // stay
	TESTQ AX, AX
	JNE  reap

die:
	MOVQ $126, DI             // a script that names /proc/self/exe ends here too: it was not run
	CALL(SYS_exit_group)

nofork:
	NEGQ AX
	MOVQ AX, R15
	JMP  report

child:
	XORQ AX, AX
	MOVQ AX, 512(SP)
	MOVQ $2, DI               // SIG_SETMASK
	LEAQ 512(SP), SI
	XORQ DX, DX
	MOVQ $8, R10
	CALL(SYS_rt_sigprocmask)
	CALL(SYS_setsid)
	MOVQ 0(R12), DI           // terminal, or -1
	TESTQ DI, DI
	JS   folder
	MOVQ $0x540E, SI          // TIOCSCTTY
	XORQ DX, DX
	CALL(SYS_ioctl)

folder:
	MOVQ 56(R12), DI          // working directory, or 0
	TESTQ DI, DI
	JZ   try
	CALL(SYS_chdir)
	TESTQ AX, AX
	JNE  nodir

try:
	MOVQ 8(R12), R14          // paths
	MOVQ $2, R15              // ENOENT

next:
	MOVQ (R14), DI
	TESTQ DI, DI
	JZ   report
	MOVQ 16(R12), SI          // argv
	MOVQ 24(R12), DX          // envp
	CALL(SYS_execve)
	NEGQ AX
	ADDQ $8, R14
	CMPQ AX, $2               // ENOENT
	JEQ  next
	CMPQ AX, $20              // ENOTDIR
	JEQ  next
	MOVQ AX, R15
	CMPQ AX, $13              // EACCES: go on, but remember, as execvp(3) does
	JEQ  next

report:
	MOVL $1, 0(SP)            // record: errno of the start

tell:
	MOVL R15, 4(SP)
	MOVQ $4, DI
	MOVQ SP, SI
	MOVQ $8, DX
	CALL(SYS_write)
	MOVQ $127, DI
	CALL(SYS_exit_group)

nodir:
	NEGQ AX
	MOVQ AX, R15
	MOVL $3, 0(SP)            // record: errno of the working directory
	JMP  tell
	INT  $3
	BYTE $'z'; BYTE $'v'; BYTE $'i'; BYTE $'z'; BYTE $'-'; BYTE $'e'; BYTE $'n'; BYTE $'d'

// func codeAddr() unsafe.Pointer
TEXT ·codeAddr(SB), NOSPLIT, $0-8
	LEAQ ·code(SB), AX
	MOVQ AX, ret+0(FP)
	RET
