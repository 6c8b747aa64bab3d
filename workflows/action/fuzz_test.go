// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/syntax"
)

// written is a manifest as YAML again: JSON, with the expressions in ${{ }}.
func written(m *action.Manifest) string {
	type mapping = map[string]any
	inputs := []pair{}
	for _, i := range m.Inputs {
		meta := mapping{"description": i.Description, "required": i.Required, "deprecationMessage": i.Deprecation}
		if i.Default != nil {
			meta["default"] = plain{i.Default}
		}
		inputs = append(inputs, pair{i.Name, meta})
	}
	outputs := []pair{}
	for _, o := range m.Outputs {
		meta := mapping{"description": o.Description}
		if o.Value != nil {
			meta["value"] = plain{o.Value}
		}
		outputs = append(outputs, pair{o.Name, meta})
	}
	data, err := json.Marshal(mapping{"name": m.Name, "description": m.Description, "inputs": pairs(inputs), "outputs": pairs(outputs), "runs": runs(m.Runs)})
	if err != nil {
		panic(err)
	}
	return string(data)
}

func runs(r action.Runs) map[string]any {
	out := map[string]any{}
	put := func(key, value string) {
		if value != "" {
			out[key] = value
		}
	}
	put("using", r.Using)
	put("plugin", r.Plugin)
	put("main", r.Main)
	put("image", r.Image)
	put("entrypoint", r.Entrypoint)
	suffix := ""
	if r.Kind == action.Docker {
		suffix = "-entrypoint"
	}
	put("pre"+suffix, r.Pre)
	put("post"+suffix, r.Post)
	if r.Kind == action.Docker || r.Kind == action.Node {
		put("pre-if", r.PreIf)
		put("post-if", r.PostIf)
	}
	if r.Args != nil {
		out["args"] = plain{r.Args}
	}
	if r.Env != nil {
		out["env"] = plain{r.Env}
	}
	if r.Kind == action.Composite {
		steps := []map[string]any{}
		for _, s := range r.Steps {
			steps = append(steps, step(s))
		}
		out["steps"] = steps
	}
	return out
}

func step(s *workflows.Step) map[string]any {
	out := map[string]any{}
	for key, t := range map[string]*syntax.Token{
		"name": s.Name, "env": s.Env, "run": s.Run, "shell": s.Shell, "working-directory": s.Dir, "uses": s.Uses,
		"with": s.With, "continue-on-error": s.ContinueOnError, "if": s.If,
	} {
		if t != nil {
			out[key] = plain{t}
		}
	}
	if !strings.HasPrefix(s.ID, "__") {
		out["id"] = s.ID
	}
	return out
}

type pair struct {
	key   string
	value any
}

type pairs []pair

func (p pairs) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, x := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		key, _ := json.Marshal(x.key)
		value, err := json.Marshal(x.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// plain writes a token.
type plain struct{ t *syntax.Token }

func (p plain) MarshalJSON() ([]byte, error) {
	t := p.t
	switch t.Kind {
	case syntax.Sequence:
		items := []plain{}
		for _, i := range t.Items {
			items = append(items, plain{i})
		}
		return json.Marshal(items)
	case syntax.Mapping:
		list := pairs{}
		for _, x := range t.Pairs {
			list = append(list, pair{source(x.Key), plain{x.Value}})
		}
		return json.Marshal(list)
	case syntax.Bool:
		return json.Marshal(t.Bool)
	default:
		return json.Marshal(source(t))
	}
}

// source is the text of which a scalar was read: an expression that is only a text is the
// way to write ${{ itself.
func source(t *syntax.Token) string {
	if t.Kind == syntax.String && strings.Contains(t.Text, "${{") {
		return "${{ '" + strings.ReplaceAll(t.Text, "'", "''") + "' }}"
	}
	return t.String()
}

// lines is how many lines YAML may see in a text. Its end is a line of its own for our
// library.
func lines(text string) int {
	n := 2
	for _, r := range text {
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
			n++
		}
	}
	return n
}

// FuzzParse: whatever the text, there is a manifest or there are errors within their
// limits and in the text's lines; and a manifest that is written and read again is the
// same.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"github-runner/manifests/*.yml", "act/data/actions/*/action.yml", "act/data/*/*/action.yml"} {
		paths, err := filepath.Glob(filepath.Join("../../../shared/conformance", pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range paths {
			data, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data))
		}
	}
	f.Add("runs: {using: composite, steps: [{uses: a/b@v1, with: {'${{ insert }}': '${{ inputs }}', x: '${{ ''${{'' }} y'}}]}\noutputs: {x: {value: 'a{0}${{ 1 }}'}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, problems := action.Parse("action.yml", text)
		if (m == nil) != (len(problems.Errors) > 0) || len(problems.Errors) > 10 {
			t.Fatalf("%v and %d errors", m, len(problems.Errors))
		}
		for _, e := range problems.Errors {
			if e.Line > lines(text) || utf8.RuneCountInString(e.Error()) > 10_000 {
				t.Fatalf("line %d: %v", e.Line, e)
			}
		}
		// An expression is written in one line; the longest is then 21,000 characters
		// again, and JSON cannot hold what is no UTF-8.
		if m == nil || !utf8.ValidString(text) {
			return
		}
		again, problems := action.Parse("action.yml", written(m))
		if again == nil {
			t.Fatalf("%v in\n%s", problems.Errors, written(m))
		}
		same := cmp.Options{
			cmpopts.IgnoreFields(syntax.Token{}, "Pos", "Source"), cmpopts.IgnoreFields(workflows.Step{}, "Pos"), cmpopts.EquateEmpty(), cmpopts.EquateNaNs(),
		}
		if diff := cmp.Diff(m, again, same); diff != "" {
			t.Fatalf("(-first +second)\n%s\n%s", diff, written(m))
		}
	})
}

// FuzzUses: what is taken leads nowhere else, and its parts say the same again.
func FuzzUses(f *testing.F) {
	for _, s := range []string{"actions/checkout@v4", "a/b/c/../d@main", "./x/../y", `.\a`, "$/a", "docker://alpine:3", "a//b@v1@v2", "../../x@y"} {
		f.Add(s, "../dist/index.js")
	}
	f.Fuzz(func(t *testing.T, text, file string) {
		u, err := action.ParseUses(text)
		if err != nil {
			return
		}
		for _, p := range []string{u.Owner, u.Repo, u.Path, u.Ref} {
			if p != "" && (!filepath.IsLocal(p) || strings.ContainsAny(p, "\x00\n")) {
				t.Fatalf("%q has the part %q", text, p)
			}
		}
		if p, err := u.Script(file); err == nil && !filepath.IsLocal(p) {
			t.Fatalf("%q of %q is %q", file, text, p)
		}
		if u.Kind != action.Remote {
			return
		}
		same, err := action.ParseUses(u.Owner + "/" + u.Repo + "/" + u.Path + "@" + u.Ref)
		if err != nil || same.Pin() != u.Pin() || same.Path != u.Path {
			t.Fatalf("%q: %+v %+v %v", text, u, same, err)
		}
	})
}
