// SPDX-License-Identifier: Apache-2.0

// Package build says which build of zviz-runner this is.
//
//	fmt.Println(build.Read())
//
// Everything comes from what the Go linker recorded (debug.ReadBuildInfo): no
// build date and no -ldflags variable, so that one commit gives one binary.
package build
