// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
)

// difference is what one report has and another has not, each a line.
type difference struct {
	What string   `json:"what"` // "host", "package", "denial", "layer"
	New  []string `json:"new"`
	Gone []string `json:"gone"`
}

func (a app) reportDiffCommand() *cobra.Command {
	json, job := false, ""
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say which hosts, packages and denials are new in a report",
		Long: `diff compares two reports: which hosts were reached or denied, which packages were
fetched, and which system calls and files were denied in NEW and not in OLD (+), or
in OLD and not in NEW (-); and what changed in the layers. Of what run --report wrote
it takes the report of the one job, or of --job.

Exit code: 0 if nothing is new, 1 if something is, 2 if a file is no report.`,
		Example: `  zviz-runner report diff yesterday.json today.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return failure{Code: "usage.argument", What: "report diff takes two reports", Fix: cmd.CommandPath() + " OLD NEW", Exit: exitUsage}
		},
		RunE: func(_ *cobra.Command, args []string) error {
			older, err := a.readReport(args[0], job)
			if err != nil {
				return usage(err)
			}
			newer, err := a.readReport(args[1], job)
			if err != nil {
				return usage(err)
			}
			return a.printDiff(diffReports(older.Report, newer.Report), json)
		},
	}
	cmd.Flags().StringVar(&job, "job", "", "of the reports of runs the `JOB`, by its id")
	cmd.Flags().BoolVar(&json, "json", false, "print one JSON object")
	return cmd
}

func diffReports(a, b executor.Report) []difference {
	parts := []struct {
		what  string
		lines func(executor.Report) map[string]bool
	}{{"host", hostLines}, {"package", packageLines}, {"denial", denialLines}, {"layer", layerLines}}
	out := make([]difference, 0, len(parts))
	for _, p := range parts {
		was, is := p.lines(a), p.lines(b)
		d := difference{What: p.what, New: []string{}, Gone: []string{}}
		for _, l := range slices.Sorted(maps.Keys(is)) {
			if !was[l] {
				d.New = append(d.New, l)
			}
		}
		for _, l := range slices.Sorted(maps.Keys(was)) {
			if !is[l] {
				d.Gone = append(d.Gone, l)
			}
		}
		out = append(out, d)
	}
	return out
}

func hostLines(r executor.Report) map[string]bool {
	out := map[string]bool{}
	for _, s := range r.Egress.Summary {
		line := string(s.Verdict) + " " + decision.Host(s)
		if s.Reason != "" {
			line += " (" + s.Reason + ")"
		}
		out[line] = true
	}
	return out
}

func packageLines(r executor.Report) map[string]bool {
	out := map[string]bool{}
	for _, p := range r.Packages {
		line := p.Ecosystem + " " + p.String()
		if p.Digest != "" {
			line += " " + p.Digest // the same version with other content is news
		}
		out[line] = true
	}
	return out
}

func denialLines(r executor.Report) map[string]bool {
	out := map[string]bool{}
	for _, d := range r.Denials {
		out[d.Syscall+d.Path+" "+d.Errno] = true
	}
	return out
}

func layerLines(r executor.Report) map[string]bool {
	out := map[string]bool{}
	for _, l := range r.Layers {
		out[string(l.Name)+" "+string(l.State)] = true
	}
	return out
}

func (a app) printDiff(diff []difference, json bool) error {
	isNew := slices.ContainsFunc(diff, func(d difference) bool { return len(d.New) > 0 })
	if json {
		if err := writeJSON(a.Out, struct {
			Differences []difference `json:"differences"`
		}{diff}); err != nil {
			return err
		}
	} else {
		for _, d := range diff {
			for _, l := range d.New {
				if err := printLine(a.Out, "+ "+d.What+" "+ui.Clean(l)); err != nil {
					return err
				}
			}
			for _, l := range d.Gone {
				if err := printLine(a.Out, "- "+d.What+" "+ui.Clean(l)); err != nil {
					return err
				}
			}
		}
	}
	if isNew {
		return exitStatus(exitFailed)
	}
	return nil
}
