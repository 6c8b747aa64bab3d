// SPDX-License-Identifier: Apache-2.0

// Command egress measures what the network of a job costs: downloads through
// spliced and terminated hosts beside the same download without us, answers of the
// resolver, many connections at the same time, and networks opened and closed.
//
//	go run ./bench/egress -rounds 30
//
// It is the runner itself: it opens a network with package egress, as zviz-runner
// does. What is outside and what is inside are processes of their own. See
// bench/README.md for the method. Needs root.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("egress", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var p plan
	flags.IntVar(&p.rounds, "rounds", 30, "rounds; each one makes every download once")
	flags.IntVar(&p.mib, "mib", 128, "MiB of each download")
	flags.IntVar(&p.conns, "conns", 500, "connections at the same time")
	flags.IntVar(&p.networks, "networks", 200, "networks opened and closed")
	flags.StringVar(&p.profile, "cpuprofile", "", "write a profile of the gateway's process to this file")
	role := flags.String("role", "", "for the processes that it starts itself")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	var err error
	switch *role {
	case "outside":
		err = outside(stdin)
	case "inside":
		err = inside(ctx, stdin, stdout)
	default:
		if p.rounds < 30 {
			fmt.Fprintln(stderr, "error: fewer than 30 rounds say nothing")
			return 2
		}
		if os.Geteuid() != 0 {
			fmt.Fprintln(stderr, "error: only root can make the namespaces")
			return 2
		}
		err = p.measure(ctx, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}
