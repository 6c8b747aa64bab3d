// SPDX-License-Identifier: Apache-2.0

package build

import (
	"runtime/debug"
	"testing"
)

func TestString(t *testing.T) {
	for _, tt := range []struct {
		name string
		bi   debug.BuildInfo
		want string
	}{
		{"outside of version control", debug.BuildInfo{}, "zviz-runner (devel) (go1.26.8, linux/amd64)"},
		{"release", debug.BuildInfo{
			Main: debug.Module{Version: "v0.1.0"},
			Settings: []debug.BuildSetting{
				{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
				{Key: "vcs.modified", Value: "false"},
			},
		}, "zviz-runner v0.1.0 (0123456789ab, go1.26.8, linux/amd64)"},
		{"changed files", debug.BuildInfo{
			Settings: []debug.BuildSetting{
				{Key: "vcs.revision", Value: "0123"},
				{Key: "vcs.modified", Value: "true"},
			},
		}, "zviz-runner (devel) (0123 with changes, go1.26.8, linux/amd64)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := Info{Version: "(devel)", Go: "go1.26.8", OS: "linux", Arch: "amd64"}
			if got := i.with(&tt.bi).String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestReadNamesTheToolchain(t *testing.T) {
	if i := Read(); i.Go == "" || i.OS == "" || i.Arch == "" || i.Version == "" {
		t.Errorf("empty field in %+v", i)
	}
}
