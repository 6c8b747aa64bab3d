// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows/command"
)

// vectors reads a file of the conformance data.
func vectors(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testenv.Conformance(t, "github-runner"), "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func TestParseVectors(t *testing.T) {
	var file struct {
		Cases []struct {
			Line   string
			Parsed *struct {
				Command    string
				Properties map[string]string
				Data       string
			}
		}
	}
	vectors(t, "commands.json", &file)
	if len(file.Cases) < 20 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		got, ok := command.Parse(c.Line)
		switch {
		case ok != (c.Parsed != nil):
			t.Errorf("%q: a command: %t", c.Line, ok)
		case ok:
			want := command.Command{Name: c.Parsed.Command, Properties: c.Parsed.Properties, Data: c.Parsed.Data}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q: %s", c.Line, diff)
			}
		}
	}
}

// TestParseProperties: what the vectors do not have (ActionCommand.cs).
func TestParseProperties(t *testing.T) {
	for line, want := range map[string]map[string]string{
		"::set-output name=x ::v":         {"name": "x"},
		"::error  \tfile=a\u00a0::v":      {"file": "a"},
		"\u2003::error file=a::v":         {"file": "a"},
		"::error File=a,file=b,FILE=c::v": {"File": "c"},
		"##[error file=a ]v":              {"file": "a "},
		"##[error  file=a;line=3]v":       {" file": "a", "line": "3"},
		"##[error FILE=a;file=b;Line=3]v": {"FILE": "b", "Line": "3"},
	} {
		got, ok := command.Parse(line)
		if diff := cmp.Diff(want, got.Properties); !ok || diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
}

func TestParseValuesVectors(t *testing.T) {
	var file struct {
		Cases []struct {
			Name, File string
			Pairs      [][2]string
			Error      *string
		}
	}
	vectors(t, "envfile.json", &file)
	if len(file.Cases) < 20 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		pairs, err := command.ParseValues(c.File)
		got := [][2]string{}
		for _, p := range pairs {
			got = append(got, [2]string{p.Name, p.Value})
		}
		if diff := cmp.Diff(c.Pairs, got); diff != "" {
			t.Errorf("%s: %s", c.Name, diff)
		}
		switch {
		case (err != nil) != (c.Error != nil):
			t.Errorf("%s: error %v", c.Name, err)
		case err != nil && err.Error() != *c.Error:
			t.Errorf("%s: error %q, want %q", c.Name, err, *c.Error)
		}
	}
}
