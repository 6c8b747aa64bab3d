// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"

	"github.com/zviz/run/internal/build"
)

func (a app) versionCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		GroupID: "look",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if json {
				return writeJSON(a.Out, build.Read())
			}
			return printLine(a.Out, build.Read().String())
		},
	}
	cmd.Flags().BoolVar(&json, "json", false, "print one JSON object")
	return cmd
}

// noArgs refuses arguments in the house form.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return failure{
		Code: "usage.argument", What: cmd.CommandPath() + " takes no argument, got " + quoteShell(args[0]),
		Fix: cmd.CommandPath() + " --help", Exit: exitUsage,
	}
}
