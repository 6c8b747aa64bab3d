// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows/action"
)

// conformance is a folder of the data that nobody here wrote.
func conformance(t testing.TB, set string) string {
	t.Helper()
	dir := os.Getenv("ZVIZ_CONFORMANCE")
	if dir == "" {
		dir = "../../../shared/conformance"
	}
	dir = filepath.Join(dir, set)
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("ZVIZ_TEST_REQUIRE") == "1" {
			t.Fatalf("no conformance data: %v; set ZVIZ_CONFORMANCE", err)
		}
		t.Skipf("no conformance data: %v; set ZVIZ_CONFORMANCE", err)
	}
	return dir
}

// expectation is an entry of github-runner/manifests/expected.json.
type expectation struct {
	File, Error, Name, Kind, Image, Entrypoint, Main, Plugin, NodeVersion string

	Inputs        map[string]string
	Args          []string
	Env           map[string]string
	Pre, Post     *string
	PreIf, PostIf string
	Steps         int
	Conditions    []string
	Deprecated    map[string]string
}

func TestRunnerManifests(t *testing.T) {
	dir := conformance(t, "github-runner")
	data, err := os.ReadFile(filepath.Join(dir, "manifests", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []expectation
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, want := range list {
		t.Run(filepath.Base(want.File), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, want.File))
			if err != nil {
				t.Fatal(err)
			}
			m, problems := action.Parse(want.File, string(text))
			if want.Error != "" {
				checkError(t, want.Error, m, problems.Errors)
				return
			}
			if m == nil {
				t.Fatal(problems.Errors)
			}
			checkManifest(t, want, m)
		})
	}
	t.Logf("%d manifests", len(list))
}

func checkError[E error](t *testing.T, want string, m *action.Manifest, errs []E) {
	t.Helper()
	if m != nil || len(errs) == 0 {
		t.Fatalf("accepted; want %s", want)
	}
	got := errs[0].Error()
	if rest, ok := strings.CutPrefix(want, "template error: context "); ok { // the set's own words
		name, _, _ := strings.Cut(rest, " ")
		want = "Unrecognized named-value: '" + name + "'"
	}
	if !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func checkManifest(t *testing.T, want expectation, m *action.Manifest) {
	t.Helper()
	inputs := map[string]string{}
	var deprecated map[string]string
	for _, i := range m.Inputs {
		if inputs[i.Name] = i.Default.String(); i.Deprecation != "" {
			deprecated = map[string]string{i.Name: i.Deprecation}
		}
	}
	diff := func(what string, want, got any) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", what, d)
		}
	}
	r := m.Runs
	diff("name", want.Name, m.Name)
	if want.Inputs != nil {
		diff("inputs", want.Inputs, inputs)
	}
	diff("kind", want.Kind, string(r.Kind))
	diff("image", want.Image, r.Image)
	diff("entrypoint", want.Entrypoint, r.Entrypoint)
	diff("main", want.Main, r.Main)
	diff("plugin", want.Plugin, r.Plugin)
	if want.NodeVersion != "" {
		diff("using", want.NodeVersion, r.Using)
		diff("deprecated", want.Deprecated, deprecated)
	}
	diff("steps", want.Steps, len(r.Steps))
	orEmpty := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	diff("pre", orEmpty(want.Pre), r.Pre)
	diff("post", orEmpty(want.Post), r.Post)
	if want.PreIf != "" {
		diff("pre-if", want.PreIf, r.PreIf)
		diff("post-if", want.PostIf, r.PostIf)
	}
	var args, conditions []string
	if r.Args != nil {
		for _, a := range r.Args.Items {
			args = append(args, a.String())
		}
	}
	for _, s := range r.Steps {
		conditions = append(conditions, s.If.Text)
	}
	diff("args", want.Args, args)
	diff("conditions", want.Conditions, conditions)
	env := map[string]string{}
	if r.Env != nil {
		for _, p := range r.Env.Pairs {
			env[p.Key.Text] = p.Value.String()
		}
	}
	if want.Env != nil || len(env) > 0 {
		diff("env", want.Env, env)
	}
}

// TestActManifests reads the actions of the act set: what runs there must be readable.
func TestActManifests(t *testing.T) {
	dir := filepath.Join(conformance(t, "act"), "data")
	kinds := map[action.Kind]int{}
	refused := map[string]string{ // by the runner too
		"no-panic-on-invalid-composite-action/action.yml": "Top level 'runs:' section is required",
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != "action.yml" && d.Name() != "action.yaml" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		m, problems := action.Parse(name, string(text))
		if want := refused[name]; want != "" {
			checkError(t, want, m, problems.Errors)
			return nil
		}
		if m == nil {
			t.Errorf("%s: %v", name, problems.Errors)
			return nil
		}
		kinds[m.Runs.Kind]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if kinds[action.Composite] == 0 || kinds[action.Node] == 0 || kinds[action.Docker] == 0 {
		t.Errorf("read %v", kinds)
	}
	t.Logf("read %v", kinds)
}
