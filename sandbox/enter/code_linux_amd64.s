// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

#define SYS_write 1
#define SYS_fcntl 72
#define SYS_setresuid 117
#define SYS_setresgid 119
#define SYS_exit_group 231
#define SYS_unshare 272
#define SYS_setns 308
#define SYS_execveat 322

#define CALL(nr) \
	MOVQ $nr, AX; \
	SYSCALL

// It is copied out of this binary, so it uses relative jumps and the fixed address
// of its data only. At the start the stack holds argc, argv, a null pointer and
// envp (the System V ABI), which go on as they are.
TEXT ·code(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ SP, R12
	MOVQ $0x600000, R13
	MOVQ (R13), DI
	MOVQ $0x10000000, SI      // CLONE_NEWUSER
	CALL(SYS_setns)
	TESTQ AX, AX
	JNE  fail
	XORQ DI, DI
	XORQ SI, SI
	XORQ DX, DX
	CALL(SYS_setresgid)
	TESTQ AX, AX
	JNE  fail
	XORQ DI, DI
	XORQ SI, SI
	XORQ DX, DX
	CALL(SYS_setresuid)
	TESTQ AX, AX
	JNE  fail
	MOVQ $0x20000, DI         // CLONE_NEWNS
	CALL(SYS_unshare)
	TESTQ AX, AX
	JNE  fail
	MOVQ (R13), DI
	MOVQ $2, SI               // F_SETFD
	MOVQ $1, DX               // FD_CLOEXEC
	CALL(SYS_fcntl)
	MOVQ 8(R13), DI
	MOVQ $2, SI
	MOVQ $1, DX
	CALL(SYS_fcntl)
	MOVQ $0, AX
	PUSHQ AX                  // the empty path
	MOVQ 8(R13), DI
	MOVQ SP, SI
	LEAQ 8(R12), DX           // argv
	MOVQ (R12), R10
	LEAQ 16(R12)(R10*8), R10  // envp
	MOVQ $0x1000, R8          // AT_EMPTY_PATH
	CALL(SYS_execveat)

fail:
	MOVQ $2, DI
	LEAQ 24(R13), SI
	MOVQ 16(R13), DX
	CALL(SYS_write)
	MOVQ $125, DI             // Failed
	CALL(SYS_exit_group)
	INT  $3
	BYTE $'z'; BYTE $'v'; BYTE $'i'; BYTE $'z'; BYTE $'-'; BYTE $'e'; BYTE $'n'; BYTE $'d'

// func codeAddr() unsafe.Pointer
TEXT ·codeAddr(SB), NOSPLIT, $0-8
	LEAQ ·code(SB), AX
	MOVQ AX, ret+0(FP)
	RET
