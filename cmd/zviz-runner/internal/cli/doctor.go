// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/sandbox"
)

func (a app) doctorCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Say which isolation layers this machine offers",
		GroupID: "look",
		Long: `doctor tries each isolation layer and prints its state, the evidence and, where
one lacks, what can be done. It changes nothing and leaves nothing behind.

Exit code: 0 if every layer is there, 1 if one lacks.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			x, err := a.runner(nil)
			if err != nil {
				return err
			}
			entered := a.enter() // as exec does, else it would look at another machine
			probe, err := x.Probe(cmd.Context())
			if err != nil {
				return err
			}
			if lack, ok := errors.AsType[*sandbox.LayerError](entered); ok {
				probe.Refuse(lack)
			} else if entered != nil {
				return entered
			}
			ok := !slices.ContainsFunc(probe.Layers, func(l sandbox.LayerOffer) bool { return !l.OK })
			if json {
				err = writeJSON(a.Out, struct {
					OK bool `json:"ok"`
					sandbox.Probe
				}{ok, probe})
			} else {
				err = a.printProbe(probe)
			}
			if err == nil && !ok {
				return exitStatus(exitFailed)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&json, "json", false, "print one JSON object")
	return cmd
}

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
