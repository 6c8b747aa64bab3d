// SPDX-License-Identifier: Apache-2.0

package build

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// Info describes a build.
type Info struct {
	Version string `json:"version"`          // "v0.1.0", "(devel)" outside of a release
	Commit  string `json:"commit,omitempty"` // empty if built without version control
	Dirty   bool   `json:"dirty,omitempty"`  // built from changed files
	Time    string `json:"time,omitempty"`   // of the commit, RFC 3339
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// Read returns the build of the running program.
func Read() Info {
	info := Info{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	return info.with(bi)
}

func (i Info) with(bi *debug.BuildInfo) Info {
	if bi.Main.Version != "" {
		i.Version = bi.Main.Version
	}
	for _, s := range bi.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Commit = s.Value
		case "vcs.modified":
			i.Dirty = s.Value == "true"
		case "vcs.time":
			i.Time = s.Value
		}
	}
	return i
}

// String returns one line: "zviz-runner v0.1.0 (1a2b3c4d5e6f, go1.26.8, linux/amd64)".
func (i Info) String() string {
	var detail []string
	if i.Commit != "" {
		c := i.Commit[:min(12, len(i.Commit))]
		if i.Dirty {
			c += " with changes"
		}
		detail = append(detail, c)
	}
	detail = append(detail, i.Go, i.OS+"/"+i.Arch)
	return "zviz-runner " + i.Version + " (" + strings.Join(detail, ", ") + ")"
}
