// SPDX-License-Identifier: Apache-2.0

package action

import (
	"strings"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

// Manifest is an action.yml.
type Manifest struct {
	Name, Description string
	Inputs            []Input // in the order of the file
	Outputs           []Output
	Runs              Runs
	Files             []string // a token's File is an index, from 1
}

// Input is an input that the action knows. Its name ignores case.
type Input struct {
	Name        string
	Description string
	Required    bool          // nothing but a hint: GitHub does not check it
	Default     *syntax.Token // a String or an Expression; nil: none, which is an empty text
	Deprecation string        // the message; empty: not deprecated
}

// Output is an output. That of a composite action has a value.
type Output struct {
	Name        string
	Description string
	Value       *syntax.Token // nil: none
}

// Kind is how an action runs.
type Kind string

// The kinds.
const (
	Node      Kind = "node"
	Docker    Kind = "docker"
	Composite Kind = "composite"
	Plugin    Kind = "plugin" // built into GitHub's runner; nobody else has them
)

// Runs is how an action runs. What its kind does not have is empty.
type Runs struct {
	Kind  Kind
	Using string // as written: node20, Docker

	// Node: scripts, relative to the folder of the action.
	// Docker: Pre and Post are entrypoints, Main is unused.
	Main, Pre, Post string
	// PreIf and PostIf are conditions as written, without ${{ }}; always() if none was.
	// Unlike the if of a step they are not joined with success().
	PreIf, PostIf string

	Image      string        // Docker: path of a Dockerfile below the action, or docker://image
	Entrypoint string        // Docker: empty means that of the image, or the input entryPoint
	Args       *syntax.Token // Docker: nil means those of the input args
	Env        *syntax.Token // Docker

	Steps []*workflows.Step // Composite

	Plugin string // Plugin
}

// always is the condition of pre and post if none was written.
const always = "always()"

// ImageRef is the image that a docker action names; false if it is built of a Dockerfile.
func (r Runs) ImageRef() (string, bool) {
	if len(r.Image) >= len(dockerPrefix) && strings.EqualFold(r.Image[:len(dockerPrefix)], dockerPrefix) {
		return r.Image[len(dockerPrefix):], true
	}
	return "", false
}

// dockerfile says whether an image is the path of a Dockerfile, by the runner's rule.
func dockerfile(image string) bool {
	name := strings.ToLower(image[strings.LastIndexByte(image, '/')+1:])
	return strings.HasPrefix(name, "dockerfile.") || strings.HasSuffix(name, "dockerfile")
}

// Input finds an input by its name.
func (m *Manifest) Input(name string) (Input, bool) {
	for _, i := range m.Inputs {
		if sameName(i.Name, name) {
			return i, true
		}
	}
	return Input{}, false
}

// File is the name of the file that a token is from.
func (m *Manifest) File(p syntax.Pos) string {
	if p.File < 1 || p.File > len(m.Files) {
		return ""
	}
	return m.Files[p.File-1]
}
