// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

// checkedFile is what check says about a file.
type checkedFile struct {
	File     string    `json:"file"`
	Valid    bool      `json:"valid"`
	Errors   []finding `json:"errors"`
	Warnings []finding `json:"warnings"`
}

// finding is a place in a workflow file and what is wrong there.
type finding struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (a app) checkCommand() *cobra.Command {
	var json, template, runner bool
	var o runOptions // of --runner
	cmd := &cobra.Command{
		Use:     "check FILE...",
		Short:   "Say whether GitHub would take a workflow file, and what is wrong with it",
		GroupID: "look",
		Long: `check reads workflow files as GitHub does, and the workflows that they call: those
of the same repository, and those of others if they lie beneath its root under the
name that stands in uses. Nothing is run and nothing is fetched.

Each line is FILE:LINE:COLUMN: MESSAGE; the messages are GitHub's. A warning is
something that GitHub takes and that is probably not what was meant.

With --template it prints what GitHub makes of the file, as JSON in the form of
GitHub's own test data.

With --runner it lists what the files need of a machine that runs them: kinds of
machines, images, actions, Node.js, shells, the programs that scripts start, the
registries that steps reach, secrets and variables. "missing" is what this machine
lacks; "fetch" is what a run fetches; "made" is what an earlier step brings; "give"
is for whoever starts the run; "unknown" only a run knows.

Exit code: 0 if all files are valid and, with --runner, nothing is missing, else 1;
2 if one cannot be read.`,
		Example: `  zviz-runner check .github/workflows/*.yml
  zviz-runner check --json ci.yml
  zviz-runner check --runner ci.yml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return failure{Code: "usage.argument", What: "check needs a workflow file", Fix: cmd.CommandPath() + " .github/workflows/ci.yml", Exit: exitUsage}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"local-action", "actions-url"} {
				if cmd.Flags().Changed(name) && !runner {
					return failure{Code: "usage.flag", What: "--" + name + " is about actions, which are not looked at without --runner", Fix: "add --runner, or leave it out", Exit: exitUsage}
				}
			}
			if runner && template {
				return failure{Code: "usage.flag", What: "--runner and --template are two forms of output", Fix: "give one of them", Exit: exitUsage}
			}
			if json && template {
				return failure{Code: "usage.flag", What: "--json and --template are two forms of output", Fix: "give one of them", Exit: exitUsage}
			}
			if runner {
				o.json = json
				return a.checkRunner(cmd.Context(), args, &o)
			}
			return a.check(args, json, template)
		},
	}
	cmd.Flags().BoolVar(&json, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&template, "template", false, "print what GitHub makes of the file")
	cmd.Flags().BoolVar(&runner, "runner", false, "list what the file needs of a machine that runs it, and what this one lacks")
	cmd.Flags().StringArrayVar(&o.localActions, "local-action", nil, "with --runner: use the action `OWNER/REPO[@REF]=DIR` of this machine (repeat)")
	cmd.Flags().StringVar(&o.actionsURL, "actions-url", "https://github.com", "with --runner: the `URL` that a run fetches actions from")
	return cmd
}

func (a app) check(paths []string, json, template bool) error {
	valid := true
	files := make([]checkedFile, 0, len(paths))
	for _, path := range paths {
		w, err := findWorkflow(path)
		if err != nil {
			return failure{Code: "usage.argument", What: err.Error(), Exit: exitUsage, err: err}
		}
		wf, problems := workflows.Parse(w.name, w.text, workflows.Options{Open: w.called})
		valid = valid && wf != nil
		if template {
			text := workflows.ErrorTemplate(problems.Errors)
			if wf != nil {
				text = wf.Template(false)
			}
			if err := printLine(a.Out, string(text)); err != nil {
				return err
			}
			continue
		}
		files = append(files, checkedFile{path, wf != nil, w.findings(problems.Errors), w.findings(problems.Warnings)})
	}
	if err := a.printChecked(files, json, template); err != nil {
		return err
	}
	if !valid {
		return exitStatus(exitFailed)
	}
	return nil
}

func (a app) printChecked(files []checkedFile, json, template bool) error {
	if template {
		return nil
	}
	if json {
		return writeJSON(a.Out, struct {
			Files []checkedFile `json:"files"`
		}{files})
	}
	for _, f := range files {
		if err := a.printFindings(f); err != nil {
			return err
		}
	}
	return nil
}

func (a app) printFindings(f checkedFile) error {
	for _, e := range f.Errors {
		if err := printLine(a.Out, e.line("")); err != nil {
			return err
		}
	}
	for _, w := range f.Warnings {
		if err := printLine(a.Out, w.line("warning: ")); err != nil {
			return err
		}
	}
	return nil
}

// line is the form of compilers, which editors understand. The text may quote a hostile
// file, so it is cleaned.
func (f finding) line(kind string) string {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	}
	s := place + ": " + kind + f.Message
	if f.Hint != "" {
		s += ", " + f.Hint
	}
	return ui.CleanLine(s)
}

func (w workflowFile) findings(errs []*syntax.Error) []finding {
	list := make([]finding, 0, len(errs))
	for _, e := range errs {
		f := finding{e.File, e.Line, e.Col, e.Message, e.Hint()}
		if e.File == w.name || e.File == "" {
			f.File = w.path
		}
		list = append(list, f)
	}
	return list
}
