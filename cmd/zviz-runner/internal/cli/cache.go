// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cache/store"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// cacheDir is where what can be fetched again is kept.
func (a app) cacheDir() string {
	if d := a.getenv("ZVIZ_CACHE_DIR"); filepath.IsAbs(d) {
		return filepath.Clean(d)
	}
	if sandbox.MachineRoot() {
		return "/var/cache/zviz"
	}
	if d := a.getenv("XDG_CACHE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "zviz")
	}
	return a.belowHome(".cache", "zviz")
}

// packageDir is where the package store is.
func (a app) packageDir() string { return filepath.Join(a.cacheDir(), "packages") }

func (a app) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cache",
		Short:   "Look at the package store, and fetch tools for actions",
		GroupID: "look",
		Long: `The package store keeps what jobs fetched from registries: files whose digest was
known from the registry's metadata, and that metadata. All jobs read it; none can
choose what is in it.`,
		Example: `  zviz-runner cache ls
  zviz-runner cache verify
  zviz-runner cache prune --max-size 5g`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.cacheLsCommand(), a.cacheVerifyCommand(), a.cachePruneCommand(), a.cachePathCommand(), a.cacheToolCommand())
	for _, c := range cmd.Commands() {
		c.InitDefaultHelpFlag()
		c.Flags().Lookup("help").Usage = "print this help"
	}
	return cmd
}

// openStore opens the package store if there is one.
func (a app) openStore() (s *store.Store, ok bool, err error) {
	dir := a.packageDir()
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	s, err = store.Open(store.Config{Dir: dir})
	if err != nil {
		return nil, false, &executor.CacheError{Err: err}
	}
	return s, true, nil
}

func (a app) cachePathCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "Print where the package store is",
		Args:  noArgs,
		RunE:  func(*cobra.Command, []string) error { return printLine(a.Out, a.packageDir()) },
	}
}

// waiting says on a terminal what is being done until its end is called.
func (a app) waiting(what string) (end func()) { return a.waitingAs("", what) }

// waitingAs does it in a mode of --progress.
func (a app) waitingAs(progress, what string) (end func()) {
	u := ui.New(ui.Config{In: a.In, Out: a.Out, Err: a.Err, Getenv: a.getenv, Progress: progress})
	u.Phase(what)
	return u.Close
}

// cacheEntry is an entry as cache ls prints it.
type cacheEntry struct {
	Ecosystem string       `json:"ecosystem"`
	Name      string       `json:"name"`
	Version   string       `json:"version"`
	Size      int64        `json:"size"`
	Digest    store.Digest `json:"digest"`
	Stored    time.Time    `json:"stored"`
	Used      time.Time    `json:"used"`
}

// cacheListing is the object of cache ls --json.
type cacheListing struct {
	Path    string       `json:"path"`
	Usage   store.Usage  `json:"usage"`
	Entries []cacheEntry `json:"entries"`
}

func (a app) cacheLsCommand() *cobra.Command {
	var json, all bool
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the packages in the store",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			end := a.waiting("read the store")
			list, err := a.cacheList(cmd.Context(), all)
			end()
			if err != nil {
				return err
			}
			if json {
				return writeJSON(a.Out, list)
			}
			return a.printCache(list)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&all, "all", false, "list metadata too")
	f.BoolVar(&json, "json", false, "print one JSON object")
	return cmd
}

func (a app) cacheList(ctx context.Context, all bool) (_ cacheListing, err error) {
	list := cacheListing{Path: a.packageDir(), Entries: []cacheEntry{}}
	s, ok, err := a.openStore()
	if err != nil || !ok {
		return list, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	err = s.Records(ctx, func(r store.Record) bool {
		digest := r.SHA256
		if len(r.Checked) > 0 {
			digest = r.Checked[0]
		} else if !all {
			return true // nothing to check it with: metadata
		}
		list.Entries = append(list.Entries, cacheEntry{r.Group, r.Name, r.Version, r.Size, digest, r.Stored, r.Used.UTC()})
		return true
	})
	if err != nil {
		return list, err
	}
	slices.SortFunc(list.Entries, func(x, y cacheEntry) int {
		return cmp.Or(cmp.Compare(x.Ecosystem, y.Ecosystem), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Version, y.Version), cmp.Compare(x.Digest, y.Digest))
	})
	list.Usage, err = s.Usage(ctx)
	return list, err
}

func (a app) printCache(list cacheListing) error {
	if len(list.Entries) > 0 {
		rows := [][]string{{"ECOSYSTEM", "PACKAGE", "VERSION", "SIZE", "LAST USE"}}
		for _, e := range list.Entries {
			rows = append(rows, []string{ui.Clean(e.Ecosystem), ui.Clean(e.Name), ui.Clean(e.Version), ui.Amount(e.Size), e.Used.Format("2006-01-02 15:04")})
		}
		if err := ui.Table(a.Out, rows, nil); err != nil {
			return err
		}
	}
	return printLine(a.Out, fmt.Sprintf("%s in %d files, at %s", ui.Amount(list.Usage.Bytes), list.Usage.Files, list.Path))
}

func (a app) cacheVerifyCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read and hash every file of the store",
		Long: `verify reads every file and compares it with its digest. What does not match is
taken out of use, into the folder quarantine of the store; the next job that
needs it fetches it anew.

Exit code: 0 if everything matches, else 1.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.cacheVerify(cmd.Context(), json) },
	}
	cmd.Flags().BoolVar(&json, "json", false, "print one JSON object")
	return cmd
}

func (a app) cacheVerify(ctx context.Context, json bool) (err error) {
	v := store.Verified{Faults: []store.Fault{}}
	s, ok, err := a.openStore()
	if err != nil {
		return err
	}
	if ok {
		defer func() { err = errors.Join(err, s.Close()) }()
		end := a.waiting("read and hash every file of the store")
		v, err = s.Verify(ctx)
		end()
		if err != nil {
			return err
		}
	}
	if json {
		err = writeJSON(a.Out, v)
	} else {
		for _, f := range v.Faults {
			name := f.Name
			if name == "" {
				name = "no entry"
			}
			if err := printLine(a.Out, ui.Clean(fmt.Sprintf("%s  %s (%s)", f.Digest, f.Why, name))); err != nil {
				return err
			}
		}
		err = printLine(a.Out, fmt.Sprintf("%d files, %s: %d wrong", v.Files, ui.Amount(v.Bytes), len(v.Faults)))
	}
	if err == nil && len(v.Faults) > 0 {
		return exitStatus(exitFailed)
	}
	return err
}

func (a app) cachePruneCommand() *cobra.Command {
	var size string
	var all, json bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what was not used for longest",
		Long: `prune removes the entries that were not used for longest until the store takes no
more than --max-size, and files that no entry names. What was used in the last
ten minutes stays. A runner does the same by itself while it fills the store.

With --all everything goes, whatever its age, and what verify took out of use too.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			limit := store.DefaultMaxBytes
			if size != "" {
				if all {
					return failure{Code: "usage.argument", What: "--all removes everything: --max-size says nothing with it", Exit: exitUsage, Fix: "zviz-runner cache prune --all"}
				}
				n, err := executor.ParseBytes(size)
				if err != nil {
					return failure{Code: "usage.argument", What: badValue("--max-size", size, err), Exit: exitUsage, err: err, Fix: "zviz-runner cache prune --max-size 5g"}
				}
				limit = n
			}
			if all {
				limit = 0
			}
			return a.cachePrune(cmd.Context(), limit, all, json)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&size, "max-size", "", "what the store may take: `SIZE` such as 5g (default "+ui.Amount(store.DefaultMaxBytes)+")")
	f.BoolVar(&all, "all", false, "remove everything")
	f.BoolVar(&json, "json", false, "print one JSON object")
	return cmd
}

func (a app) cachePrune(ctx context.Context, limit int64, all, json bool) (err error) {
	var p store.Pruned
	s, ok, err := a.openStore()
	if err != nil {
		return err
	}
	if ok {
		defer func() { err = errors.Join(err, s.Close()) }()
		end := a.waiting("prune the store")
		p, err = s.Prune(ctx, limit, all)
		end()
		if err != nil {
			return err
		}
	}
	if json {
		return writeJSON(a.Out, p)
	}
	return printLine(a.Out, fmt.Sprintf("removed %d entries, %s; %s are left", p.Evicted, ui.Amount(p.Before.Bytes-p.After.Bytes), ui.Amount(p.After.Bytes)))
}
