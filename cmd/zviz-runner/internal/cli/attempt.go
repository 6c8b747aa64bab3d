// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/zviz/run/internal/attack"
)

// attemptName is the command that makes one attempt to get out. It is for
// doctor, which starts it in the sandbox, and in no list.
const attemptName = "attack-attempt"

func (a app) attemptCommand() *cobra.Command {
	return &cobra.Command{
		Use:    attemptName + " ID [ARG...]",
		Short:  "Make one attempt to get out of the sandbox that this runs in",
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			refuse := func(what string) error {
				return failure{Code: "usage.argument", What: what, Fix: "zviz-runner doctor --attack", Exit: exitUsage}
			}
			if len(args) == 0 {
				return refuse(attemptName + " needs the identifier of an attempt")
			}
			at, ok := attack.ByID(args[0])
			if !ok {
				return refuse(fmt.Sprintf("no attempt %q", args[0]))
			}
			if harm := at.Harm(); harm != "" {
				return refuse("attempt " + at.ID + " is not made: " + harm)
			}
			if onMachine() {
				return refuse("attempt " + at.ID + " is made in a sandbox only")
			}
			return printLine(a.Out, string(attack.Run(at, args[1:])))
		},
	}
}

// onMachine reports whether this process can see all of the machine's: it is in
// the first pid namespace, whose number is fixed (linux/proc_ns.h,
// PROC_PID_INIT_INO), or cannot tell.
func onMachine() bool {
	name, err := os.Readlink("/proc/self/ns/pid")
	return err != nil || name == fmt.Sprintf("pid:[%d]", 0xEFFFFFFC)
}
