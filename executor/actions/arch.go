// SPDX-License-Identifier: Apache-2.0

package actions

import "runtime"

// toolArch is the machine as the tool cache of GitHub's runners names it.
func toolArch() string {
	if runtime.GOARCH == "amd64" {
		return "x64"
	}
	return runtime.GOARCH
}
