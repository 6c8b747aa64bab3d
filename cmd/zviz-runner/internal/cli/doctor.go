// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/seccomp"
)

// doctorReport is the object that doctor prints.
type doctorReport struct {
	OK bool `json:"ok"` // whether the exit code is 0
	sandbox.Probe
	Attack *attackReport `json:"attack,omitempty"`
}

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	attack, json bool
	profile      string
}

func (a app) doctorCommand() *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Say which isolation layers this machine offers, and whether they hold",
		GroupID: "look",
		Long: `doctor tries each isolation layer and prints its state, the evidence and, where
one lacks, what can be done. It changes nothing and leaves nothing behind.

With --attack it also makes the harmless attempts of the escape suite, each in a
sandbox of its own without a network, and prints by class how they ended:
  blocked      by what must stop it
  works        a thing that builds need
  let through  on purpose: what it reaches is the job's own
  escaped      it succeeded: the sandbox does not hold
  wrong        stopped by something else than what must stop it, or a thing that
               builds need was refused
  not run      with the reason
An attempt that could do harm to this machine is never made. Nothing is attempted
outside of a sandbox: that each attempt succeeds there is shown by make test, in
a checkout of the source.

Exit code: 0 if every layer is there and nothing escaped or ended wrong, else 1.`,
		Example: `  zviz-runner doctor
  zviz-runner doctor --attack --profile hostile
  zviz-runner doctor --attack --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.doctor(cmd.Context(), *o)
		},
	}
	profiles := seccomp.ProfileNames()
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.attack, "attack", false, "also make the harmless attempts to get out of the sandbox")
	f.Var(choice{&o.profile, profiles}, "profile", "list of system calls for the attempts (default ci and hostile)")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	// Fails only for a flag that does not exist: a bug, and tests see it.
	if err := cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(profiles, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
	return cmd
}

func (a app) doctor(ctx context.Context, o doctorOptions) error {
	if o.profile != "" && !o.attack {
		return failure{
			Code: "usage.argument", What: "--profile is that of the attempts: it needs --attack", Exit: exitUsage,
			Fix: "zviz-runner doctor --attack --profile " + o.profile,
		}
	}
	x, err := a.runner(nil)
	if err != nil {
		return err
	}
	entered := a.enter() // as exec does, else it would look at another machine
	probe, err := x.Probe(ctx)
	if err != nil {
		return err
	}
	if lack, ok := errors.AsType[*sandbox.LayerError](entered); ok {
		probe.Refuse(lack)
	} else if entered != nil {
		return entered
	}
	rep := doctorReport{OK: !slices.ContainsFunc(probe.Layers, func(l sandbox.LayerOffer) bool { return !l.OK }), Probe: probe}
	if !o.json {
		if err := a.printProbe(probe); err != nil {
			return err
		}
	}
	if o.attack {
		rep.Attack, err = a.attackIf(ctx, o, probe)
		rep.OK = err == nil && rep.Attack.OK
	}
	if o.json {
		// Whatever became of the attempts: the layers are part of the answer.
		if werr := writeJSON(a.Out, rep); err == nil {
			err = werr
		}
	}
	if err == nil && !rep.OK {
		return exitStatus(exitFailed)
	}
	return err
}

// attackIf makes the attempts if the layers are there, and prints what became of
// them unless a program reads.
func (a app) attackIf(ctx context.Context, o doctorOptions, probe sandbox.Probe) (*attackReport, error) {
	if err := probe.Missing(nil); err != nil {
		f := describe(err)
		f.What = "no attempt was made, since the sandbox would not start: " + f.What
		return nil, f
	}
	profiles := attackProfiles()
	if o.profile != "" {
		profiles = []string{o.profile}
	}
	progress := ""
	if o.json {
		progress = "quiet"
	}
	u := ui.New(ui.Config{In: a.In, Out: a.Out, Err: a.Err, Getenv: a.getenv, Progress: progress})
	defer u.Close()
	rep, err := a.attack(ctx, u, profiles, probe.User)
	if err != nil || o.json {
		return rep, err
	}
	u.Phase("")
	return rep, a.printAttack(*rep)
}

// attackProfiles are those under which the attempts are made if nobody says another.
func attackProfiles() []string { return []string{"ci", "hostile"} }

func (a app) printProbe(p sandbox.Probe) error {
	u := ui.New(ui.Config{In: a.In, Out: a.Out, Err: a.Out, Getenv: a.getenv, Progress: "quiet"})
	defer u.Close()
	rows := [][]string{{"LAYER", "STATE", "EVIDENCE"}}
	lacks := 0
	for _, l := range p.Layers {
		state := "ok"
		if !l.OK {
			state = "missing"
			lacks++
		}
		rows = append(rows, []string{string(l.Name), state, ui.Clean(l.Evidence)})
		if l.Fix != "" {
			rows = append(rows, []string{"", "", "fix: " + ui.Clean(l.Fix)})
		}
	}
	err := ui.Table(a.Out, rows, func(row, col int, cell string) string {
		switch {
		case row == 0:
			return u.Bold(cell)
		case col == 1 && cell == "ok":
			return u.Green(cell)
		case col == 1 && cell == "missing":
			return u.Red(cell)
		default:
			return cell
		}
	})
	if err != nil {
		return err
	}
	var end strings.Builder
	fmt.Fprintf(&end, "\nLinux %s on %s: ", ui.Clean(p.Kernel), p.Arch)
	switch lacks {
	case 0:
		end.WriteString("every layer is there")
	case 1:
		end.WriteString("1 layer is missing")
	default:
		fmt.Fprintf(&end, "%d layers are missing", lacks)
	}
	return printLine(a.Out, end.String())
}
