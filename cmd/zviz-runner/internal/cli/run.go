// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/internal/spell"
	"github.com/zviz/run/workflows/plan"
)

// runOptions are the flags of run as they were written.
type runOptions struct {
	execOptions // those of everything that runs code
	file        string

	event, payload   string
	all              bool
	jobs, steps      []string
	matrix, inputs   []string
	vars             []string
	secrets          []string
	secretFiles      []string
	env, envFiles    []string
	localActions     []string
	actionsURL       string
	toolCache        string
	realToken        bool
	artifacts        string
	parallel         int
	breakOnFailure   bool
	list, graph, dry bool
	listed           bool // any of the three
}

func (a app) runCommand() *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:     "run [flags] [FILE]",
		Short:   "Run a workflow of GitHub's language on this machine, each step in a sandbox",
		GroupID: "run",
		Long: `run runs the jobs of a workflow file, or of all files in .github/workflows that
the event starts. Each job has a network, limits and a workspace of its own, each
of its steps a sandbox. A checkout takes the files of this machine, those that git
does not ignore, with what is not committed; nothing is written back.

Without --allow, and without hosts in the policy file, each run step reaches the
registries of the tools that its script starts, and nothing else.

Actions and workflows of other repositories are fetched with the git of this machine
and kept by commit; a workflow that .github/workflows/actions.lock names runs the
commits in there. JavaScript actions run with a Node.js of the major version that
they ask for: the one in PATH, that of a version manager, or one from npm's registry.

With --egress learn the smallest policy for all steps goes to standard error, and
nothing else does. setup-node and its like find what cache tool fetched. Steps that
install packages of the distribution need --rootfs DIR --profile root.

With --secret GITHUB_TOKEN jobs have a token that is worth nothing outside: the
gateway puts the real one into requests that read the workflow's own repository, as
far as the permissions of the job go. NAME@ENVIRONMENT in --secret, --secret-file and
--var is of a deployment environment: only jobs that name it in environment have it.

Of all runs of this machine and user one has a concurrency group, and one waits.

--break-on-failure opens a shell where a step failed: same sandbox, network, variables
and folder. The job goes on when it ends; its time limits go on meanwhile. With --var
ACTIONS_STEP_DEBUG=true the debug lines of actions are shown, and RUNNER_DEBUG is 1.

Exit code: 0 if the run succeeded or no job had to run, 1 if it failed, 2 for a bad
argument, 124 if --timeout ended a job, 125 for an error of ours, 128+n after signal n.
Ctrl-C cancels as the
button of a forge does, so that steps with always() run; a second one kills.`,
		Example: `  zviz-runner run
  zviz-runner run .github/workflows/ci.yml -j test --matrix node=22
  zviz-runner run ci.yml --event pull_request -e event.json --secret DEPLOY_KEY
  zviz-runner run ci.yml --graph`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) <= 1 {
				return nil
			}
			return failure{Code: "usage.argument", What: fmt.Sprintf("run takes one workflow file, got %d", len(args)), Fix: "zviz-runner run " + quoteShell(args[0]), Exit: exitUsage}
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) > 0 {
				o.file = args[0]
			}
			o.listed = o.list || o.graph || o.dry
			if o.origin, err = a.applyVariables(cmd.Flags()); err != nil {
				return err
			}
			if !o.listed {
				if err := a.enter(); err != nil {
					return ours(err)
				}
			}
			return a.run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.event, "event", "", "the `NAME` of the event (default push)")
	f.StringVarP(&o.payload, "event-file", "e", "", "its payload, JSON, from `FILE`: github.event")
	f.BoolVar(&o.all, "all", false, "run whatever the file's events and filters say")
	f.StringArrayVarP(&o.jobs, "job", "j", nil, "only `JOB` and what it needs (repeat)")
	f.StringArrayVar(&o.matrix, "matrix", nil, "only cells of a matrix in which `KEY=VALUE` (repeat)")
	f.StringArrayVar(&o.steps, "step", nil, "only `STEP`, by id, name or number, and checkouts (repeat)")
	f.StringArrayVar(&o.inputs, "input", nil, "an input `KEY=VALUE` of workflow_dispatch (repeat)")
	f.StringArrayVar(&o.vars, "var", nil, "a configuration variable `KEY=VALUE`: the context vars (repeat)")
	f.StringArrayVar(&o.env, "env", nil, "a variable `KEY[=VALUE]` of all steps; without a value, ours (repeat)")
	f.StringArrayVar(&o.envFiles, "env-file", nil, "variables of all steps from `FILE`, a KEY=VALUE a line (repeat)")
	f.StringArrayVar(&o.secrets, "secret", nil, "a secret `NAME` with our variable's value, else asked for (repeat)")
	f.StringArrayVar(&o.secretFiles, "secret-file", nil, "secrets from `FILE`, a NAME=VALUE a line (repeat)")
	f.BoolVar(&o.realToken, "real-token", false, "give steps the token of --secret GITHUB_TOKEN itself")
	f.StringArrayVar(&o.localActions, "local-action", nil, "use the action `OWNER/REPO[@REF]=DIR` of this machine (repeat)")
	f.StringVar(&o.actionsURL, "actions-url", "https://github.com", "fetch actions of other repositories from `URL`/OWNER/REPO, with git")
	f.StringVar(&o.artifacts, "artifacts", "", "keep what steps upload as artifacts in `DIR`, of several workflows in DIR/FILE (default: thrown away with the run)")
	f.Var(count{&o.parallel}, "parallel", "run `N` jobs at a time (default: as many as processors, two at least)")
	f.BoolVar(&o.breakOnFailure, "break-on-failure", false, "when a step fails, open a shell where it ran before the job goes on; one job at a time")
	f.BoolVar(&o.list, "list", false, "list the jobs, and run nothing")
	f.BoolVar(&o.graph, "graph", false, "draw which job needs which, and run nothing")
	f.BoolVar(&o.dry, "dry-run", false, "print the jobs with their steps and what each may reach, and run nothing")
	grantFlags(f, &o.execOptions)
	f.StringVar(&o.rootfs, "rootfs", "", "`DIR` with a root file system (default: this machine's tools, read-only)")
	f.StringVar(&o.toolCache, "tool-cache", "", "`DIR` with tools for actions such as setup-node (default: RUNNER_TOOL_CACHE, else that of cache tool)")
	f.StringVar(&o.report, "report", "", "write the report, JSON, to `FILE`: one for each job")
	f.BoolVar(&o.json, "json", false, "print JSON lines: what happens, and the result as the last one")
	outputFlags(f, &o.execOptions)
	a.completeFlags(cmd)
	return cmd
}

// run runs the workflows that the options name.
func (a app) run(ctx context.Context, o *runOptions) (err error) {
	b, err := a.bring(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	list, err := a.runRequests(ctx, o, b)
	if err != nil {
		return err
	}
	for _, step := range o.steps {
		if !slices.ContainsFunc(list, func(w runnable) bool { return run.HasStep(w.Workflow.Jobs, step) }) {
			return failure{Code: "usage.argument", What: fmt.Sprintf("--step %q: no job has a step of that id, name or number", step), Fix: "list them: zviz-runner run --dry-run", Exit: exitUsage}
		}
	}
	for _, kv := range o.matrix {
		key, _, _ := strings.Cut(kv, "=")
		if !slices.ContainsFunc(list, func(w runnable) bool { return run.HasMatrixKey(w.Workflow.Jobs, key) }) {
			return failure{Code: "usage.argument", What: fmt.Sprintf("--matrix %q: no job has a matrix with the key %q", kv, key), Fix: "list the cells: zviz-runner run --list", Exit: exitUsage}
		}
	}
	if o.listed {
		return a.printPlans(list, o)
	}
	return newRunning(a, o).run(ctx, list)
}

// notTriggered says that no workflow was started.
func notTriggered(file string, err error) error {
	f := failure{Code: "run.not_started", What: "nothing to run: " + err.Error(), Exit: exitFailed, Fix: "name another event with --event, or run it all the same: --all"}
	if file != "" {
		f.What = fmt.Sprintf("%s is not run: %v", file, err)
	}
	return f
}

// planError describes what the plan says of the request.
func planError(w workflowFile, err error) error {
	if _, ok := errors.AsType[*plan.NotTriggeredError](err); ok {
		return notTriggered(w.path, err)
	}
	f := failure{Code: "workflow.invalid", What: w.path + ": " + err.Error(), Exit: exitFailed, err: err}
	f.Fix = hint(err)
	if _, ok := errors.AsType[*plan.InputError](err); ok {
		f.Code, f.Exit = "usage.argument", exitUsage
	}
	if e, ok := errors.AsType[*plan.JobError](err); ok {
		f.Code, f.Exit = "usage.argument", exitUsage
		if n, ok := spell.Nearest(e.Name, e.Jobs); ok {
			f.What += fmt.Sprintf(", did you mean %q?", n)
		}
	}
	return f
}

// runnable is a workflow with all that its run needs.
type runnable struct {
	workflowFile
	run.Request
}
