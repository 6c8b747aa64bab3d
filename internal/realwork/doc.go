// SPDX-License-Identifier: Apache-2.0

// Package realwork holds builds and tests of real projects, as commands, with
// what each must print. Its test runs every one natively and inside the sandbox
// and fails if one that works natively does not work inside. It takes about ten
// minutes, so it runs only with ZVIZ_REALWORK=1:
//
//	make realwork
//	go test ./internal/realwork -update    # and write docs/real-work.md anew
//
// A sandbox is of use only if work gets done in it. A permission that a row here
// needs is one that the sandbox has a reason to give.
package realwork
