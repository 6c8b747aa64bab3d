// SPDX-License-Identifier: Apache-2.0

// Command program makes one attempt of the escape suite by its identifier and
// prints how it ended. The tests put it, static, into the workspace of a
// sandbox.
//
//	program ID [ARG...]    one attempt
//	program outside ID [ARG...]   the same, with services at every address: for a namespace of its own
//	program serve ADDR     a service at an address, until it is killed
//	program swap A B       exchange two names, until it is killed
//	program bury DIR N     a tree of N levels in a directory
//	program clock          how far the wall clock is from the time since the start, in milliseconds
//	program facts          what a process inside is: JSON
//	program flood NAME TIME   an attack on the runner's doors that goes on for a time
//	program neighbour N    what an honest job does, N times
//	program find NAME      every path under / with that name in it, but for /proc, /sys and /usr
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/zviz/run/internal/attack"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: program ID [ARG...]")
		return 2
	}
	switch args[0] {
	case "facts":
		facts, err := attack.ReadFacts()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		fmt.Println(facts.JSON())
		return 0
	case "serve":
		fmt.Fprintln(os.Stderr, attack.Serve(args[1]))
		return 2
	case "flood":
		return say(attack.Flood(args[1], args[2]))
	case "neighbour":
		return say(attack.Neighbour(args[1]))
	case "swap":
		fmt.Fprintln(os.Stderr, attack.Swap(args[1], args[2]))
		return 2
	case "bury":
		levels, err := strconv.Atoi(args[2])
		if err = errors.Join(err, attack.Bury(args[1], levels)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		return 0
	case "clock":
		wall, err := attack.WallOffset()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		fmt.Println(wall.Milliseconds())
		return 0
	case "find":
		for _, path := range attack.Find("/", args[1]) {
			fmt.Println(path)
		}
		return 0
	}
	if args[0] == "outside" && len(args) > 1 {
		stop, err := attack.Outside()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		defer stop()
		args = args[1:]
	}
	a, ok := attack.ByID(args[0])
	if !ok {
		fmt.Fprintf(os.Stderr, "no attempt %q\n", args[0])
		return 2
	}
	fmt.Println(attack.Run(a, args[1:]))
	return 0
}

func say(did string, err error) int {
	if err != nil {
		fmt.Println("FAILED", err)
		return 1
	}
	fmt.Println("DONE", did)
	return 0
}
