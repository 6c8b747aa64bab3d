// SPDX-License-Identifier: Apache-2.0

package landlock

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// ABI returns the kernel's Landlock version. Without Landlock it is 0 and the
// error ENOSYS (not compiled in) or EOPNOTSUPP (not enabled at boot).
func ABI() (int, error) {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0, os.NewSyscallError("landlock_create_ruleset", err)
	}
	return abi, nil
}

// Create returns a descriptor (O_CLOEXEC) of a ruleset that refuses all that
// no rule gives. The caller closes it; a child applies it to itself by
// landlock_restrict_self. A scoped ruleset also keeps the child from abstract
// unix sockets and processes outside of itself. An ABI below MinABI, or below
// ScopeABI if scoped, is an *ABIError.
func Create(abi int, scoped bool, rules []Rule) (fd int, err error) {
	if abi < MinABI {
		return -1, &ABIError{abi, MinABI}
	}
	attr := ll.RulesetAttr{HandledAccessFS: Handled(abi)}
	if scoped {
		if abi < ScopeABI {
			return -1, fmt.Errorf("scopes: %w", &ABIError{abi, ScopeABI})
		}
		attr.Scoped = ll.ScopeAbstractUnixSocket | ll.ScopeSignal
	}
	// landlock_create_ruleset(2) always sets O_CLOEXEC.
	fd, err = ll.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return -1, os.NewSyscallError("landlock_create_ruleset", err)
	}
	for i, r := range rules {
		if err := add(fd, abi, r); err != nil {
			return -1, errors.Join(fmt.Errorf("rule %d (descriptor %d, %v): %w", i, r.FD, r.Right, err), syscall.Close(fd))
		}
	}
	return fd, nil
}

// add gives the rights of one rule. A rule without any (Make on a file) says
// nothing, and the kernel would refuse it with ENOMSG.
func add(set, abi int, r Rule) error {
	k := r.kernel(abi)
	if k == 0 {
		return nil
	}
	return os.NewSyscallError("landlock_add_rule", ll.LandlockAddPathBeneathRule(set, &ll.PathBeneathAttr{AllowedAccess: k, ParentFd: r.FD}, 0))
}
