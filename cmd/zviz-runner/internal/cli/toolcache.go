// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	nodecache "github.com/zviz/run/cache/node"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
)

// toolDir is the tool cache that cache tool fills.
func (a app) toolDir() string { return filepath.Join(a.cacheDir(), "tools") }

// runToolCache is the tool cache of the jobs of a run: that of the flag, of a runner
// around us, or our own. Only the flag's must be there.
func (a app) runToolCache(o *runOptions) (string, error) {
	if o.toolCache != "" {
		dir, err := realPath(o.toolCache)
		if err == nil {
			if st, e := os.Stat(dir); e == nil && !st.IsDir() {
				err = usageError{"is not a folder", ""}
			}
		}
		if err != nil {
			return "", argument(o.origin["tool-cache"], o.toolCache, err)
		}
		return dir, nil
	}
	for _, dir := range []string{a.getenv("RUNNER_TOOL_CACHE"), a.getenv("AGENT_TOOLSDIRECTORY"), a.toolDir()} {
		if st, err := os.Stat(dir); filepath.IsAbs(dir) && err == nil && st.IsDir() {
			return filepath.Clean(dir), nil
		}
	}
	return "", nil
}

func (a app) cacheToolCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tool node@VERSION [node@VERSION...]",
		Short: "Fetch a tool for actions such as setup-node",
		Long: `tool puts a Node.js into the tool cache of this machine's jobs, where setup-node
looks before it downloads: node@22 is the newest 22 that the registry of your npm
has, node@22.14.0 that one. The npm of the major version that belongs to it comes
with it. Both are compared with the registry's digests, and nothing of them is run.

Jobs see the tool cache at /opt/hostedtoolcache. What they change there is thrown
away with them.`,
		Example: `  zviz-runner cache tool node@22 node@24
  zviz-runner run ci.yml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return failure{Code: "usage.argument", What: "name a tool", Fix: "zviz-runner cache tool node@22", Exit: exitUsage}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			for _, arg := range args {
				name, version, _ := strings.Cut(arg, "@")
				if name != "node" || !nodecache.IsRange(version) {
					return failure{Code: "usage.argument", What: badValue("cache tool", arg, errors.New("want node@VERSION")), Fix: "zviz-runner cache tool node@22", Exit: exitUsage}
				}
			}
			file, _, err := a.policy("")
			if err != nil {
				return err
			}
			s, err := a.openNodes(file.Policy, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			for _, arg := range args {
				u := ui.New(ui.Config{In: a.In, Out: a.Out, Err: a.Err, Getenv: a.getenv})
				u.Phase("fetch " + arg)
				t, err := s.Tool(cmd.Context(), strings.TrimPrefix(arg, "node@"), a.toolDir())
				u.Close()
				if err != nil {
					return failure{Code: "cache.fetch", What: "cannot fetch " + strconv.Quote(arg) + ": " + err.Error(), Exit: exitFailed, err: err, Fix: hint(err)}
				}
				if err := printLine(a.Out, fmt.Sprintf("Node.js %s with npm %s is in %s", t.Node, t.NPM, t.Dir)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	return cmd
}
