// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

#define SYS_fcntl 25
#define SYS_ioctl 29
#define SYS_chdir 49
#define SYS_read 63
#define SYS_write 64
#define SYS_exit_group 94
#define SYS_kill 129
#define SYS_rt_sigprocmask 135
#define SYS_rt_sigtimedwait 137
#define SYS_setsid 157
#define SYS_prctl 167
#define SYS_clone 220
#define SYS_execve 221
#define SYS_mmap 222
#define SYS_wait4 260

#define CALL(nr) \
	MOVD $nr, R8; \
	SVC

// See code_linux_amd64.s. R19 header, R20 the command's pid, R21 the path tried, R22
// the errno to report, R23 scratch on the stack.
TEXT ·code(SB), NOSPLIT|NOFRAME, $0-0
	MOVD $0x600000, R19
	MOVD RSP, R23
	SUB  $1024, R23
	MOVD $4, R0               // PR_SET_DUMPABLE
	MOVD $0, R1
	MOVD $0, R2
	MOVD $0, R3
	MOVD $0, R4
	CALL(SYS_prctl)
	MOVD $15, R0              // PR_SET_NAME
	ADD  $32, R19, R1
	MOVD $0, R2
	MOVD $0, R3
	MOVD $0, R4
	CALL(SYS_prctl)
	MOVD $-1, R9
	MOVD R9, 512(R23)
	MOVD $2, R0               // SIG_SETMASK
	ADD  $512, R23, R1
	MOVD $0, R2
	MOVD $8, R3
	CALL(SYS_rt_sigprocmask)
	MOVD $3, R0
	MOVD $2, R1               // F_SETFD
	MOVD $1, R2               // FD_CLOEXEC
	CALL(SYS_fcntl)
	MOVD $4, R0
	MOVD $2, R1
	MOVD $1, R2
	CALL(SYS_fcntl)
	MOVD 64(R19), R0          // a waiting one
	CBZ  R0, known
	MOVD $2, R1
	MOVD $1, R2
	CALL(SYS_fcntl)
	MOVD $3, R0
	MOVD R23, R1
	MOVD $8, R2
	CALL(SYS_read)
	CMP  $8, R0
	BNE  die
	MOVD $0x10000000, R0
	MOVD 0(R23), R1
	MOVD $1, R2               // PROT_READ
	MOVD $0x100002, R3        // MAP_PRIVATE | MAP_FIXED_NOREPLACE
	MOVD 64(R19), R4
	MOVD $0, R5
	CALL(SYS_mmap)
	MOVD $0x10000000, R9
	CMP  R9, R0
	BNE  die
	MOVD R0, R19

known:
	MOVD $3, R0
	MOVD $8, R1               // F_SETOWN
	MOVD $1, R2
	CALL(SYS_fcntl)
	MOVD $3, R0
	MOVD $4, R1               // F_SETFL
	MOVD $0x2800, R2          // O_ASYNC | O_NONBLOCK
	CALL(SYS_fcntl)
	CBNZ R0, die
	MOVD $17, R0              // SIGCHLD
	MOVD $0, R1
	MOVD $0, R2
	MOVD $0, R3
	MOVD $0, R4
	CALL(SYS_clone)
	CBZ  R0, child
	TBNZ $63, R0, nofork
	MOVD R0, R20

control:
	MOVD $3, R0
	MOVD R23, R1
	MOVD $1, R2
	CALL(SYS_read)
	CBZ  R0, die

wait:
	MOVD $-1, R9
	MOVD R9, 512(R23)
	ADD  $512, R23, R0
	MOVD $0, R1
	MOVD $0, R2
	MOVD $8, R3
	CALL(SYS_rt_sigtimedwait)
	CMP  $17, R0              // SIGCHLD
	BEQ  reap
	CMP  $29, R0              // SIGIO
	BEQ  control
	CMP  $0, R0
	BLE  wait
	MOVD R0, R21
	MOVD R0, R1
	NEG  R20, R0
	CALL(SYS_kill)
	CBZ  R0, wait
	MOVD R20, R0
	MOVD R21, R1
	CALL(SYS_kill)
	B    wait

reap:
	MOVD $-1, R0
	ADD  $4, R23, R1
	MOVD $0x40000001, R2      // __WALL | WNOHANG
	MOVD $0, R3
	CALL(SYS_wait4)
	CMN  $10, R0              // ECHILD
	BEQ  die
	CMP  $0, R0
	BLE  wait
	CMP  R20, R0
	BNE  reap
	MOVW $2, R9
	MOVW R9, 0(R23)
	MOVD $4, R0
	MOVD R23, R1
	MOVD $8, R2
	CALL(SYS_write)
	MOVD 48(R19), R9          // stay
	CBNZ R9, reap

die:
	MOVD $126, R0
	CALL(SYS_exit_group)

nofork:
	NEG  R0, R22
	B    report

child:
	MOVD ZR, 512(R23)
	MOVD $2, R0               // SIG_SETMASK
	ADD  $512, R23, R1
	MOVD $0, R2
	MOVD $8, R3
	CALL(SYS_rt_sigprocmask)
	CALL(SYS_setsid)
	MOVD 0(R19), R0           // terminal, or -1
	TBNZ $63, R0, folder
	MOVD $0x540E, R1          // TIOCSCTTY
	MOVD $0, R2
	CALL(SYS_ioctl)

folder:
	MOVD 56(R19), R0          // working directory, or 0
	CBZ  R0, try
	CALL(SYS_chdir)
	CBNZ R0, nodir

try:
	MOVD 8(R19), R21          // paths
	MOVD $2, R22              // ENOENT

next:
	MOVD (R21), R0
	CBZ  R0, report
	MOVD 16(R19), R1          // argv
	MOVD 24(R19), R2          // envp
	CALL(SYS_execve)
	NEG  R0, R0
	ADD  $8, R21
	CMP  $2, R0               // ENOENT
	BEQ  next
	CMP  $20, R0              // ENOTDIR
	BEQ  next
	MOVD R0, R22
	CMP  $13, R0              // EACCES
	BEQ  next

report:
	MOVW $1, R9

tell:
	MOVW R9, 0(R23)
	MOVW R22, 4(R23)
	MOVD $4, R0
	MOVD R23, R1
	MOVD $8, R2
	CALL(SYS_write)
	MOVD $127, R0
	CALL(SYS_exit_group)

nodir:
	NEG  R0, R22
	MOVW $3, R9
	B    tell
	BRK
	WORD $0x7a69767a          // "zviz-end"
	WORD $0x646e652d

// func codeAddr() unsafe.Pointer
TEXT ·codeAddr(SB), NOSPLIT, $0-8
	MOVD $·code(SB), R0
	MOVD R0, ret+0(FP)
	RET
