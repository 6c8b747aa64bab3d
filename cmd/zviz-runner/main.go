// SPDX-License-Identifier: Apache-2.0

// Command zviz-runner runs jobs whose code nobody audited.
package main

import (
	"os"

	"github.com/zviz/run/cmd/zviz-runner/internal/cli"
)

func main() {
	spareCollections()
	os.Exit(cli.Main(cli.System{Args: os.Args, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()}))
}
