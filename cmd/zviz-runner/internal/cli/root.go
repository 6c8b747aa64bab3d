// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/build"
	"github.com/zviz/run/internal/spell"
	"github.com/zviz/run/sandbox"
)

// System is what the command line gets of the process that it runs in.
type System struct {
	Args         []string // the program's name first
	In, Out, Err *os.File
	Env          []string
}

// getenv returns the value of a variable. As with getenv(3), the first one
// counts if it is there twice.
func (s System) getenv(key string) string {
	v, _ := s.lookupEnv(key)
	return v
}

func (s System) lookupEnv(key string) (string, bool) {
	for _, kv := range s.Env {
		if v, ok := strings.CutPrefix(kv, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

// runner is what the commands need of the executor.
type runner interface {
	Exec(ctx context.Context, r executor.Request) (executor.Report, error)
	Plan(ctx context.Context, r executor.Request) (string, error)
	Probe(ctx context.Context) (sandbox.Probe, error)
	Presets(ctx context.Context, names []string, allowMissing []sandbox.Layer) ([]egress.Preset, error)
}

// app is what every command gets.
type app struct {
	System
	newRunner func(executor.Config) (runner, error)
	// asUser starts us again with that environment as root of a user namespace, if we
	// are an ordinary user; nil does not.
	asUser func(env []string) error
}

// Main runs the command line and returns the exit code.
func Main(sys System) int {
	return app{
		System:    sys,
		newRunner: func(c executor.Config) (runner, error) { return executor.New(c) },
		asUser:    func(env []string) error { return sandbox.AsUser(sys.Args, env) },
	}.main()
}

func (a app) main() (code int) {
	json := false
	defer func() {
		// A bug of ours must not look like the command's own exit code 2.
		if v := recover(); v != nil {
			code = a.fail(bug(v), json)
		}
	}()
	root := a.rootCommand()
	var args []string
	if len(a.Args) > 1 {
		args = a.Args[1:]
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if f := cmd.Flags().Lookup("json"); f != nil {
		json = f.Value.String() == "true" || isFlagError(err) && jsonAsked(args)
	}
	if err == nil {
		return 0
	}
	if s, ok := errors.AsType[exitStatus](err); ok {
		return int(s)
	}
	return a.fail(describe(err), json)
}

// isFlagError reports whether the flags could not be read. Else one that was not read is
// the command's that exec runs.
func isFlagError(err error) bool {
	f, ok := errors.AsType[failure](err)
	return ok && f.Code == "usage.flag"
}

// jsonAsked finds --json where parsing ended before it.
func jsonAsked(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json")
}

// fail prints an error and returns its exit code.
func (a app) fail(f failure, json bool) int {
	if json {
		f.printJSON(a.Err)
	} else {
		u := ui.New(ui.Config{In: a.In, Out: a.Out, Err: a.Err, Getenv: a.getenv, Progress: "quiet"})
		defer u.Close()
		f.print(u)
	}
	return f.Exit
}

func (a app) rootCommand() *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "zviz-runner",
		Short: "Run code that nobody audited, in a sandbox",
		Long: `zviz-runner runs a command in a sandbox that assumes the command is hostile:
namespaces of its own, a list of allowed system calls, file access by rule,
limits, and a network that reaches the hosts you name and nothing else.`,
		Example: `  zviz-runner exec -- npm ci
  zviz-runner exec --allow go,api.example.com -- go test ./...
  zviz-runner doctor`,
		Args:              cobra.ArbitraryArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case version:
				return printLine(a.Out, build.Read().String())
			case len(args) == 0:
				return cmd.Help()
			default:
				return unknownCommand(cmd, args[0])
			}
		},
	}
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(flagError)
	root.Flags().BoolVar(&version, "version", false, "print the version")
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run code:"}, &cobra.Group{ID: "look", Title: "Look inside:"})
	root.AddCommand(a.execCommand(), a.runCommand(), a.checkCommand(), a.doctorCommand(), a.egressCommand(), a.exprCommand(), a.cacheCommand(), a.reportCommand(), a.versionCommand(), a.completionCommand(), a.attemptCommand())
	root.AddCommand(helpTopics()...)
	root.SetHelpCommand(a.helpCommand())
	// The flag's own text would name the command twice: "help for exec".
	root.InitDefaultHelpCmd() // it is among the commands then
	for _, c := range append(root.Commands(), root) {
		c.InitDefaultHelpFlag()
		c.Flags().Lookup("help").Usage = "print this help"
	}
	return root
}

// unknownCommand is the error for a word that is no command of cmd.
func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	f := failure{Code: "usage.command", What: fmt.Sprintf("unknown command %q", name), Exit: exitUsage, Fix: "list the commands: " + cmd.CommandPath() + " --help"}
	if cmd.HasParent() {
		f.What += " of " + cmd.CommandPath()
	}
	if n, ok := spell.Nearest(name, names); ok {
		f.What += fmt.Sprintf(", did you mean %q?", n)
		f.Fix = cmd.CommandPath() + " " + n
	}
	return f
}

// flagError turns pflag's errors into ours, with the nearest name.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	f := failure{Code: "usage.flag", What: err.Error(), Exit: exitUsage, err: err, Fix: "list the flags: " + cmd.CommandPath() + " --help"}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := e.GetSpecifiedName()
		if e.GetSpecifiedShortnames() != "" {
			f.What = "unknown flag -" + name
			return f
		}
		f.What = "unknown flag --" + name
		var names []string
		cmd.Flags().VisitAll(func(fl *pflag.Flag) { names = append(names, fl.Name) })
		if n, ok := spell.Nearest(name, names); ok {
			f.What += ", did you mean --" + n + "?"
		}
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		f.What = "flag " + dashed(e.GetFlag(), e.GetSpecifiedShortnames()) + " needs a value"
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		f.What = badValue(dashed(e.GetFlag(), ""), e.GetValue(), yesOrNo(e.Unwrap()))
		if h, ok := find[hinter](e.Unwrap()); ok {
			f.Fix = h.Hint()
		}
	}
	return f
}

func dashed(f *pflag.Flag, short string) string {
	if short != "" || len(f.Name) == 1 {
		return "-" + f.Shorthand
	}
	return "--" + f.Name
}
