// SPDX-License-Identifier: Apache-2.0

package seccomp

// checkPrctl answers to an option that it does not know as an older kernel does.
func (p Profile) checkPrctl() rule {
	options := [][]choice{
		oneOf(allow(),
			1, 2, // SET_PDEATHSIG, GET_PDEATHSIG
			3,      // GET_DUMPABLE
			15, 16, // SET_NAME, GET_NAME
			21,     // GET_SECCOMP
			23,     // CAPBSET_READ
			29, 30, // SET_TIMERSLACK, GET_TIMERSLACK
			36, 37, // SET_CHILD_SUBREAPER, GET
			38, 39, // SET_NO_NEW_PRIVS, GET
			41, 42, // SET_THP_DISABLE, GET
			52,         // GET_SPECULATION_CTRL
			65,         // SET_MDWE
			0x53564d41, // SET_VMA: names of mappings
			0x59616d61, // SET_PTRACER: crash handlers of JVM and Chrome
		),
		// SET_DUMPABLE: clearing is useful to ssh-agent, setting is not needed.
		// These two arguments are unsigned long; with a high bit set the kernel
		// answers EINVAL, so the low half decides here as well.
		oneOf(byArg(1, fail(eperm), oneOf(allow(), 0)), 4),
		oneOf(byArg(1, fail(eperm), oneOf(allow(), 1)), 47), // CAP_AMBIENT: IS_SET only
		oneOf(fail(eperm),
			22, // SET_SECCOMP
			24, // CAPBSET_DROP
			28, // SET_SECUREBITS
			35, // SET_MM
			59, // SET_SYSCALL_USER_DISPATCH
		),
	}
	if p.Identity {
		// GET_KEEPCAPS and SET_KEEPCAPS: setpriv(1) keeps its capabilities from one
		// identity call to the next. Who has none keeps none, execve(2) ends it, and
		// the bounding set is what it was.
		options = append(options, oneOf(allow(), 7, 8))
	}
	return byArg(0, fail(einval), options...)
}
