// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/page"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
)

// reportOptions are the flags of report.
type reportOptions struct {
	html       string
	provenance string
	key        string
	complete   bool
	job        string
}

func (a app) reportCommand() *cobra.Command {
	o := &reportOptions{}
	cmd := &cobra.Command{
		Use:     "report FILE",
		Short:   "Print a report for people, or make a page of it",
		GroupID: "look",
		Long: `report reads what exec --report wrote, or the last line of what exec --json printed;
"-" is standard input. Of what run --report wrote it prints the report of each job, or
that of --job. Names in a report were chosen by the job: they are escaped.

With --html it writes one page that needs no other file and runs no script: a picture
of who talked to whom, and tables of all that the report holds.

With --provenance it looks whether the signed statement that exec --provenance wrote
is about this very report, and with --key who signed it. --require-complete wants a
record that leaves nothing out. Nothing of a report that fails these is printed.

Exit code: 0; 1 if the report is not what --provenance, --key or --require-complete
want; 2 if the file is no report.`,
		Example: `  zviz-runner report report.json
  zviz-runner report report.json --html report.html
  zviz-runner report report.json --provenance prov.json --key pub.pem --require-complete
  zviz-runner report diff yesterday.json today.json`,
		Args: oneArg("FILE"),
		RunE: func(_ *cobra.Command, args []string) error { return a.printReport(o, args[0]) },
	}
	cmd.Flags().StringVar(&o.html, "html", "", "write a page to `FILE`")
	cmd.Flags().StringVar(&o.provenance, "provenance", "", "the signed statement, `FILE`, that must be about the report")
	cmd.Flags().StringVar(&o.key, "key", "", "public key, PEM `FILE`, that must have signed it")
	cmd.Flags().StringVar(&o.job, "job", "", "of the report of a run the `JOB`, by its id")
	cmd.Flags().BoolVar(&o.complete, "require-complete", false, "fail unless the record of the network is complete")
	diff := a.reportDiffCommand()
	diff.InitDefaultHelpFlag()
	diff.Flags().Lookup("help").Usage = "print this help"
	cmd.AddCommand(diff)
	return cmd
}

func (a app) printReport(o *reportOptions, name string) error {
	list, err := a.readReports(name, o.job)
	if err != nil {
		return usage(err)
	}
	if len(list) > 1 && (o.html != "" || o.provenance != "" || o.key != "") {
		return usage(failure{Code: "usage.argument", What: name + " is the report of a run with " + ui.Count(len(list), "job", "jobs"), Fix: "name one: --job " + quoteShell(list[0].Job)})
	}
	for i, r := range list {
		verified, err := o.verify(r)
		if err != nil {
			return err
		}
		if o.html != "" {
			return writeFile("--html", o.html, func(w io.Writer) error { return page.Write(w, r.Report, verified) })
		}
		if i > 0 {
			if err := printLine(a.Out, ""); err != nil {
				return err
			}
		}
		if err := reportText(a.Out, r.Report, verified); err != nil {
			return err
		}
	}
	return nil
}

// storedReport is a report and how it is stored.
type storedReport struct {
	executor.Report
	data []byte
}

// readReport reads the one report of a file, or of standard input; of a run that of a
// job, if it is named.
func (a app) readReport(name, job string) (storedReport, error) {
	list, err := a.readReports(name, job)
	if err != nil {
		return storedReport{}, err
	}
	if len(list) > 1 {
		return storedReport{}, argument("report", name, usageError{"is that of a run with several jobs", "name one: --job " + quoteShell(list[0].Job)})
	}
	return list[0], nil
}

// readReports reads a report, or those of the jobs of a run; with a job, its own only.
func (a app) readReports(name, job string) ([]storedReport, error) {
	in := a.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, argument("report", name, cause(err))
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxRunReport))
	if err != nil {
		return nil, argument("report", name, cause(err))
	}
	parts := [][]byte{text}
	if jobs, ok := jobReports(text, job); ok {
		switch {
		case len(jobs) == 0 && job == "":
			return nil, argument("report", name, usageError{"is that of a run in which no job ran", ""})
		case len(jobs) == 0:
			return nil, argument("report", name, usageError{fmt.Sprintf("no job %q ran in that run", job), "zviz-runner report " + quoteShell(name)})
		}
		parts = jobs
	} else if job != "" {
		return nil, argument("report", name, usageError{"is not that of a run", "leave out --job"})
	}
	var out []storedReport
	for _, part := range parts {
		r, data, err := executor.ReadReport(bytes.NewReader(part))
		if err != nil {
			return nil, argument("report", name, cause(err))
		}
		out = append(out, storedReport{r, data})
	}
	return out, nil
}

// writeFile makes or replaces a file whole, and follows no link.
func writeFile(flag, name string, fill func(io.Writer) error) error {
	f, err := openReport(name)
	if err == nil {
		err = f.put(fill)
		f.close()
	}
	if err != nil {
		return failure{Code: "report.unwritable", What: badValue(flag, name, cause(err)), Fix: hint(err), Exit: exitUsage, err: errors.Unwrap(err)}
	}
	return nil
}
