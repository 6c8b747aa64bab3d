// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

// parserCase is a file of the set workflow-parser; its README says how it is laid out.
type parserCase struct {
	name, text, want string
	files            map[string]string
	options          caseOptions
}

type caseOptions struct {
	IncludeSource bool            `yaml:"include-source"`
	Skip          []string        `yaml:"skip"`
	Features      map[string]bool `yaml:"experimental-features"`
	AllowAnchors  bool            `yaml:"allow-anchors"`
	MaxDepth      int             `yaml:"max-depth"`
	MaxFileSize   int             `yaml:"max-file-size"`
	MaxFiles      int             `yaml:"max-files"`
	MaxResultSize int             `yaml:"max-result-size"`
	MaxJobs       int             `yaml:"max-job-limit"`
	MaxCalls      int             `yaml:"max-nested-reusable-workflows-depth"`
	Policy        string          `yaml:"permissions-policy"`
}

func readCase(t testing.TB, path string) parserCase {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	docs := strings.Split(strings.ReplaceAll(string(data), "\r\n---\r\n", "\n---\n"), "\n---\n")
	c := parserCase{name: ".github/workflows/" + filepath.Base(path), text: docs[1], want: strings.TrimSpace(docs[len(docs)-1]), files: map[string]string{}}
	if err := yaml.Load([]byte(docs[0]+"\n{}\n"), &c.options); err != nil {
		if err := yaml.Load([]byte(docs[0]), &c.options); err != nil {
			t.Fatalf("%s: options: %v", path, err)
		}
	}
	for i := 2; i+1 < len(docs)-1; i += 2 {
		c.files[docs[i]] = docs[i+1]
	}
	return c
}

// editorOnly says whether only GitHub's library for editors is meant to pass: it checks
// events to the last key, and shows them.
func (c parserCase) editorOnly() bool {
	return slices.Contains(c.options.Skip, "Go") && slices.Contains(c.options.Skip, "C#")
}

func (c parserCase) run() (*workflows.Workflow, workflows.Problems) {
	o := c.options
	return workflows.Parse(c.name, c.text, workflows.Options{
		Open: func(uses string) (string, error) {
			if text, ok := c.files[uses]; ok {
				return text, nil
			}
			return "", workflows.ErrNotHere
		},
		Syntax: syntax.Options{
			Limits:          syntax.Limits{MaxDepth: o.MaxDepth, MaxFileSize: o.MaxFileSize, MaxFiles: o.MaxFiles, MaxResultSize: o.MaxResultSize},
			NoAnchors:       !o.AllowAnchors,
			BackgroundSteps: o.Features["allowBackgroundSteps"],
			NoBackground:    !o.Features["allowBackgroundSteps"],
		},
		StrictEvents: c.editorOnly(), MaxJobs: o.MaxJobs, MaxCalls: o.MaxCalls,
		PermissionsPolicy: workflows.TokenPolicy(o.Policy),
	})
}

func (c parserCase) got() string {
	wf, problems := c.run()
	if wf == nil {
		return string(workflows.ErrorTemplate(problems.Errors))
	}
	if !c.editorOnly() {
		wf.On = nil // the set leaves events out elsewhere
	}
	return string(wf.Template(c.options.IncludeSource))
}

// TestConformance compares with what GitHub makes of a file. known.txt names what we do
// not meet, with the reason.
func TestConformance(t *testing.T) {
	known := readKnown(t)
	paths, err := filepath.Glob(filepath.Join(testenv.Conformance(t, "workflow-parser"), "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	verdicts, exact := 0, 0
	for _, path := range paths {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			c := readCase(t, path)
			got := c.got()
			if strings.HasPrefix(got, "{\n  \"errors\"") == strings.HasPrefix(c.want, "{\n  \"errors\"") {
				verdicts++
			}
			diff := cmp.Diff(c.want, got)
			if diff == "" {
				exact++
			}
			switch reason := known[name]; {
			case diff != "" && reason == "":
				t.Errorf("(-want +got)\n%s", diff)
			case diff == "" && reason != "":
				t.Errorf("passes, but is listed in testdata/known.txt: %s", reason)
			}
			delete(known, name)
		})
	}
	t.Logf("verdicts %d/%d, templates %d/%d", verdicts, len(paths), exact, len(paths))
}

func readKnown(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/known.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if name, reason, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(line, "#") {
			known[name] = reason
		}
	}
	return known
}
