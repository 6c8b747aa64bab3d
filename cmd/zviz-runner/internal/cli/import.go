// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
)

func (a app) egressImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Make a policy of another tool's list of hosts",
		Long: `import reads a file of another tool and prints a policy with the same hosts:
  GitHub's egress-firewall.yaml
  a workflow with steps of step-security/harden-runner (allowed-endpoints)
  a workflow with steps of bullfrogsec/bullfrog (allowed-domains)
  a list of hosts, one a line
What cannot be taken over stands in comments. FILE may be - for standard input.`,
		Example: `  zviz-runner egress import .github/egress-firewall.yaml > policy.yml`,
		Args:    oneArg("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			return usage(a.importPolicy(args[0]))
		},
	}
}

func (a app) importPolicy(name string) error {
	in := io.Reader(a.In)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return argument("FILE", name, cause(err))
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return argument("FILE", name, cause(err))
	}
	if len(data) > maxFile {
		return argument("FILE", name, errors.New("is larger than 1 MiB"))
	}
	got, err := executor.ImportPolicy(name, data)
	if err != nil {
		return err
	}
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(ui.CleanLine(fmt.Sprintf(format, args...)) + "\n") }
	line("# From %s: %s", got.From, name)
	for _, n := range got.Notes {
		line("# %s", n)
	}
	line("version: 1")
	line("egress:")
	line("  mode: %s", got.Mode)
	if len(got.Rules) == 0 {
		line("  allow: []")
	} else {
		line("  allow:")
	}
	for _, r := range got.Rules {
		if len(r.Ports) > 1 {
			line("    - host: %s", quoteYAML(r.Host))
			line("      ports: %s", strings.ReplaceAll(fmt.Sprint(r.Ports), " ", ", "))
		} else {
			line("    - %s", quoteYAML(r.String()))
		}
	}
	_, err = io.WriteString(a.Out, b.String())
	return err
}
