// SPDX-License-Identifier: Apache-2.0

// Command packages measures what an installation costs in a fresh sandbox: npm ci of a
// real project with what the package store has, beside the same npm ci without us.
//
//	go run ./bench/packages -runner bin/zviz-runner -rounds 30
//
// Counted is the processor time of everything that was started, the runner with its
// gateway too. See bench/README.md for the method. Needs root, npm, and once the registry
// that npm is configured for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// plan is what is measured.
type plan struct {
	runner  string
	project string
	dir     string
	rounds  int
}

const leastRounds = 30

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("packages", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var p plan
	flags.StringVar(&p.runner, "runner", "bin/zviz-runner", "the zviz-runner to measure")
	flags.StringVar(&p.project, "project", "internal/realwork/testdata/node", "folder with a package.json and a package-lock.json")
	flags.StringVar(&p.dir, "dir", "/var/tmp", "a folder in which the disk is made that all work on; an ordinary user must get there")
	alone := flags.Bool("alone", false, "for the process that it starts itself")
	flags.IntVar(&p.rounds, "rounds", leastRounds, "rounds; each one installs once in every way")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(stderr, "error: needs root, to install as another user beside")
		return 2
	}
	do := func() error { return again(ctx, args, stdout, stderr) }
	if *alone {
		do = func() error { return measure(ctx, p, stdout) }
	}
	if err := do(); err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

func measure(ctx context.Context, p plan, out io.Writer) (err error) {
	runner, err := filepath.Abs(p.runner)
	if err != nil {
		return err
	}
	dir, undo, err := disk(ctx, p.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, undo()) }()
	site, err := newSite(ctx, dir, runner, p.project)
	if err != nil {
		return err
	}
	defer site.registry.close()
	rows, err := site.rounds(ctx, p.rounds)
	if err != nil {
		return err
	}
	table(out, rows, p.rounds)
	return nil
}
