// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
)

// tailEvery is how often running jobs are looked at.
const tailEvery = 50 * time.Millisecond

func (a app) egressTailCommand() *cobra.Command {
	json := false
	cmd := &cobra.Command{
		Use:   "tail [RUN]",
		Short: "Show what running commands ask for, as it happens",
		Long: `tail prints each decision about the network of the commands that run on this machine,
as the same user and with the same state folder: those so far, and then each as it
happens. With the id of a run it shows that one and ends with it; else Ctrl-C ends it.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) <= 1 {
				return nil
			}
			return failure{Code: "usage.argument", What: "egress tail takes one run", Fix: cmd.CommandPath() + " RUN", Exit: exitUsage}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			t := tail{app: a, json: json, files: map[string]*followed{}}
			if len(args) == 1 {
				t.only = args[0]
			}
			return t.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&json, "json", false, "print the events as JSON lines")
	return cmd
}

// tail follows the events of running jobs.
type tail struct {
	app
	json  bool
	only  string // a job's id; empty is all
	files map[string]*followed
}

// followed is the file of one job and what was not a whole line yet.
type followed struct {
	file *os.File
	part []byte
}

func (t *tail) run(ctx context.Context) error {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		live, err := executor.LiveEvents(t.stateDir())
		if err != nil {
			return err
		}
		for id, name := range live {
			if _, ok := t.files[id]; ok || t.only != "" && id != t.only {
				continue
			}
			f, err := os.Open(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it has just ended
			}
			if err != nil {
				return err
			}
			t.files[id] = &followed{file: f}
		}
		if first && t.only != "" && len(t.files) == 0 {
			return argument("RUN", t.only, usageError{"no run with that id has asked for anything, or it has ended", "list all: zviz-runner egress tail"})
		}
		for id, f := range t.files {
			if err := t.follow(f); err != nil {
				return err
			}
			if _, ok := live[id]; !ok { // read to its end after its name was gone
				_ = f.file.Close()
				delete(t.files, id)
				if t.only != "" {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// follow prints the lines that were added.
func (t *tail) follow(f *followed) error {
	data, err := io.ReadAll(f.file)
	if err != nil {
		return err
	}
	f.part = append(f.part, data...)
	for {
		line, rest, ok := bytes.Cut(f.part, []byte{'\n'})
		if !ok {
			return nil
		}
		f.part = rest
		var e egress.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if t.json {
			err = writeJSON(t.Out, e)
		} else {
			err = printLine(t.Out, ui.CleanLine(eventLine(e)))
		}
		if err != nil {
			return err
		}
	}
}

// eventLine is "12:03:04.567 deny evil.test:443 (host) by node, pid 7; claims to be …".
func eventLine(e egress.Event) string {
	row := egress.Summary{Host: e.Host, Port: e.Port, Door: e.Door}
	if e.Host == "" {
		row.Host = e.Dst
	}
	parts := []string{e.Time.Local().Format("15:04:05.000"), e.Job}
	if e.Step != "" {
		parts = append(parts, e.Step)
	}
	parts = append(parts, string(e.Verdict), string(e.Door))
	if e.Method != "" {
		parts = append(parts, e.Method)
	}
	s := strings.Join(parts, " ") + " " + decision.Host(row) + e.Path
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	if e.PID != 0 {
		s += " by " + decision.Process(e.Exe, e.PID)
	}
	if e.Package != (egress.Package{}) {
		s += ", " + decision.Wanted(e.Package)
	}
	if e.Up+e.Down > 0 {
		s += fmt.Sprintf(", up %s down %s", ui.Amount(e.Up), ui.Amount(e.Down))
	}
	return s + ui.Times(e.Count)
}
