// SPDX-License-Identifier: Apache-2.0

package seccomp

// checkIoctl allows what terminals, pipes, sockets and file copies need. A
// caller takes ENOTTY as "not that kind of file" and goes on.
func checkIoctl() rule {
	return byArg(1, fail(enotty),
		oneOf(allow(),
			// Terminals: TCGETS TCSETS TCSETSW TCSETSF TCGETA TCSETA TCSETAW TCSETAF TCSBRK TCXONC TCFLSH
			0x5401, 0x5402, 0x5403, 0x5404, 0x5405, 0x5406, 0x5407, 0x5408, 0x5409, 0x540a, 0x540b,
			// TIOCSCTTY TIOCGPGRP TIOCSPGRP TIOCOUTQ TIOCGWINSZ TIOCSWINSZ TIOCNOTTY TIOCGSID
			0x540e, 0x540f, 0x5410, 0x5411, 0x5413, 0x5414, 0x5422, 0x5429,
			// TCGETS2 TCSETS2 TCSETSW2 TCSETSF2 TIOCGPTN TIOCSPTLCK TIOCGPTPEER
			0x802c542a, 0x402c542b, 0x402c542c, 0x402c542d, 0x80045430, 0x40045431, 0x5441,
			// Any descriptor: FIONREAD FIONBIO FIONCLEX FIOCLEX FIOASYNC
			0x541b, 0x5421, 0x5450, 0x5451, 0x5452,
			// Files: FICLONE FICLONERANGE FS_IOC_GETFLAGS FS_IOC_FIEMAP FIDEDUPERANGE
			0x40049409, 0x4020940d, 0x80086601, 0xc020660b, 0xc0189436,
			// Interfaces: SIOCGIFCONF …FLAGS …ADDR …BRDADDR …NETMASK …MTU …HWADDR …INDEX
			0x8912, 0x8913, 0x8915, 0x8919, 0x891b, 0x8921, 0x8927, 0x8933,
		),
		// TIOCSTI types into the terminal of whoever started us (CVE-2017-5226),
		// TIOCLINUX does the same on a console, TIOCSETD loads line disciplines.
		oneOf(notify(eperm), 0x5412, 0x541c, 0x5423),
	)
}
