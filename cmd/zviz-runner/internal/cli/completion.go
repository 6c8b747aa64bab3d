// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/zviz/run/internal/spell"
)

func (a app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "Print a completion script for a shell",
		GroupID:   "look",
		ValidArgs: shells,
		Example: `  zviz-runner completion bash > /etc/bash_completion.d/zviz-runner
  zviz-runner completion zsh > "${fpath[1]}/_zviz-runner"
  zviz-runner completion fish > ~/.config/fish/completions/zviz-runner.fish`,
		Args: func(_ *cobra.Command, args []string) error {
			f := failure{Code: "usage.argument", Exit: exitUsage, Fix: "zviz-runner completion bash"}
			switch {
			case len(args) != 1:
				f.What = "completion takes one argument: bash, zsh or fish"
			case !slices.Contains(shells, args[0]):
				f.What = fmt.Sprintf("no completion for %q; there is bash, zsh and fish", args[0])
				if n, ok := spell.Nearest(args[0], shells); ok {
					f.Fix = "zviz-runner completion " + n
				}
			default:
				return nil
			}
			return f
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.Out)
			default:
				return root.GenFishCompletion(a.Out, true)
			}
		},
	}
}
