// SPDX-License-Identifier: Apache-2.0

package actions_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/actions"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
)

// openCell opens a cell without a network.
func openCell(t *testing.T) *executor.Cell {
	t.Helper()
	testenv.NeedRoot(t)
	state, err := os.MkdirTemp("/var/tmp", "zviz-actions") //nolint:usetesting // the sandbox has a /tmp of its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	x, err := executor.New(executor.Config{StateDir: state, Environ: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	cell, err := x.OpenCell(t.Context(), executor.CellRequest{Policy: executor.Policy{NoNetwork: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cell.Close(); err != nil {
			t.Error(err)
		}
	})
	return cell
}

// record is what a job printed, and its annotations.
type record struct {
	mu     sync.Mutex
	stdout []string
	all    []string
}

func (r *record) add(e job.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Kind == job.Line && e.Stream == job.Stdout:
		r.stdout = append(r.stdout, e.Text)
		fallthrough
	case e.Kind == job.Line:
		r.all = append(r.all, e.Text)
	case e.Kind == job.Annotated:
		r.all = append(r.all, e.Annotation.Message)
	}
}

func (r *record) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.all, "\n")
}

// run runs the steps of a workflow's first job with what the source brings.
func run(t *testing.T, s *actions.Source, o actions.Origin, steps string, want job.Conclusion) *record {
	t.Helper()
	wf, problems := workflows.Parse(o.File, "on: push\njobs:\n  a:\n    runs-on: x\n    steps:"+strings.ReplaceAll(steps, "\n", "\n      ")+"\n", workflows.Options{})
	if len(problems.Errors) > 0 {
		t.Fatal(problems.Errors)
	}
	o.Repository, o.Files = "octo/hello", wf.Files
	var rec record
	res, err := job.Run(t.Context(), job.Request{
		Cell: openCell(t), Steps: wf.Jobs[0].Steps, Actions: s.For(o), Emit: rec.add, Timeout: time.Minute,
		Contexts: expr.Values{"github": expr.NewObject(expr.Member{Name: "repository", Value: expr.String("octo/hello")})},
	})
	if err != nil || res.Conclusion != want {
		t.Errorf("the job is %s, %v\n%s", res.Conclusion, err, rec.log())
	}
	return &rec
}

const nodeManifest = "name: x\ninputs: {who: {default: nobody}}\nruns: {using: node20, main: dist/main.js, post: dist/post.js}\n"

// TestRemote runs actions of a forge: JavaScript and composite ones, in each other, in a
// folder of their repository, and the same repository by $/.
func TestRemote(t *testing.T) {
	testenv.NeedTool(t, "node")
	f := newForge(t)
	f.commit("octo/js", []string{"v1"}, map[string]string{
		"action.yml":     nodeManifest,
		"dist/main.js":   "console.log('main ' + process.env.INPUT_WHO + ' ' + process.env.GITHUB_ACTION_REPOSITORY + '@' + process.env.GITHUB_ACTION_REF)\n",
		"dist/post.js":   "console.log('post')\n",
		"sub/action.yml": "name: sub\nruns: {using: node20, main: ../dist/sub.js}\n",
		"dist/sub.js":    "console.log('sub ' + __dirname.split('/').slice(4, 6).join('/'))\n",
	})
	commit := f.commit("octo/many", []string{"v2", "release/v2"}, map[string]string{
		"action.yml": `
name: many
outputs: {said: {value: "${{ steps.one.outputs.said }}"}}
runs:
  using: composite
  steps:
    - {uses: octo/js@v1, with: {who: many}}
    - {id: one, uses: $/inner}
    - {shell: bash, run: 'touch "$GITHUB_ACTION_PATH/x" || echo "read-only $GITHUB_ACTION_PATH"'}
`,
		"inner/action.yml": "name: inner\noutputs: {said: {value: '${{ steps.s.outputs.said }}'}}\nruns:\n  using: composite\n  steps:\n    - {id: s, shell: bash, run: 'echo \"said=$(cat \"$GITHUB_ACTION_PATH/../word\")\" >> \"$GITHUB_OUTPUT\"'}\n",
		"word":             "hello\n",
	})
	s := actions.NewSource(f.open, nil)
	defer s.Close()
	rec := run(t, s, actions.Origin{File: "ci.yml"}, `
- {uses: octo/js@v1, with: {who: me}}
- {uses: octo/js/sub@v1}
- {id: m, uses: octo/many@release/v2}
- run: echo "${{ steps.m.outputs.said }}"
- {uses: Octo/Many/inner@`+commit+`}
`, job.Success)
	dir := executor.ActionsDir + "/octo/many/" + commit
	want := []string{"main me octo/js@v1", "sub octo/js", "main many octo/js@v1", "read-only " + dir, "hello", "post", "post"}
	if diff := cmp.Diff(want, rec.stdout); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, rec.log())
	}
	for _, text := range []string{"Download action repository 'octo/many@release/v2' (SHA:" + commit + ")", "Download action repository 'octo/js@v1' (SHA:"} {
		if !strings.Contains(rec.log(), text) {
			t.Errorf("%q is not in\n%s", text, rec.log())
		}
	}
}

// TestFolder: a folder stands for an action, and $/ is the own repository.
func TestFolder(t *testing.T) {
	testenv.NeedTool(t, "node")
	dir := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("js/action.yml", nodeManifest)
	write("js/dist/main.js", "console.log('from a folder')\n")
	write("js/dist/post.js", "")
	write("own/tool/action.yml", "name: tool\nruns:\n  using: composite\n  steps: [{shell: bash, run: 'cat \"$GITHUB_ACTION_PATH/text\"; ! find /opt/zviz -name secret | grep .'}, {uses: $/other}]\n")
	write("own/tool/text", "own\n")
	if err := os.Chmod(filepath.Join(dir, "own/tool/text"), 0o600); err != nil { // only its owner may read it
		t.Fatal(err)
	}
	write("own/.git/evil/action.yml", "name: evil\nruns: {using: composite, steps: [{shell: bash, run: echo evil}]}\n")
	write("own/secret", "s3cret\n")
	if err := os.Symlink(filepath.Join(dir, "js"), filepath.Join(dir, "own/out")); err != nil {
		t.Fatal(err)
	}
	write("own/other/action.yml", "name: other\nruns: {using: composite, steps: [{shell: bash, run: echo other}]}\n")
	s := actions.NewSource(nil, []actions.Folder{{Owner: "octo", Repo: "js", Ref: "v1", Dir: filepath.Join(dir, "js")}})
	defer s.Close()
	rec := run(t, s, actions.Origin{File: "ci.yml", Dir: filepath.Join(dir, "own")}, "\n- uses: Octo/js@v1\n- uses: $/tool", job.Success)
	if diff := cmp.Diff([]string{"from a folder", "own", "other"}, rec.stdout); diff != "" || !strings.Contains(rec.log(), "Action repository 'Octo/js@v1' is the folder "+filepath.Join(dir, "js")) {
		t.Errorf("(-want +got)\n%s\n%s", diff, rec.log())
	}
	for _, uses := range []string{"$/.git/evil", "$/out", "$/missing"} {
		if rec := run(t, s, actions.Origin{File: "ci.yml", Dir: filepath.Join(dir, "own")}, "\n- run: echo never\n- uses: "+uses, job.Failure); len(rec.stdout) > 0 {
			t.Errorf("%s:\n%s", uses, rec.log())
		}
	}
	rec = run(t, s, actions.Origin{File: "ci.yml"}, "\n- run: echo never\n- uses: octo/js@v2", job.Failure)
	if log := rec.log(); !strings.Contains(log, "octo/js@v2: this run fetches no actions") || len(rec.stdout) > 0 {
		t.Error(log)
	}
}

// TestLocked: a workflow that the lock file names runs the commits that are in there, in
// what an action uses too, and no other action.
func TestLocked(t *testing.T) {
	f := newForge(t)
	composite := func(text string) map[string]string {
		return map[string]string{"action.yml": "name: x\nruns:\n  using: composite\n  steps:\n    - {shell: bash, run: echo " + text + "}\n"}
	}
	inner := f.commit("octo/inner", []string{"v1"}, composite("locked inner"))
	outer := f.commit("octo/outer", []string{"v1"}, map[string]string{"action.yml": "name: x\nruns: {using: composite, steps: [{uses: octo/inner@v1}, {shell: bash, run: echo locked outer}]}\n"})
	f.commit("octo/inner", []string{"v1"}, composite("moved inner"))
	f.commit("octo/outer", []string{"v1"}, composite("moved outer"))
	f.commit("octo/new", []string{"v1"}, composite("new"))
	own := t.TempDir()
	if err := os.MkdirAll(filepath.Join(own, ".github/workflows"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := `version: 'v0.0.2'
workflows:
    '.github/workflows/ci.yml':
        - 'octo/outer@v1'
dependencies:
    'octo/inner@v1': {ref: 'v1', commit: 'sha1-` + inner + `', owner_id: 1, repo_id: 1}
    'octo/outer@v1': {ref: 'v1', commit: 'sha1-` + outer + `', owner_id: 1, repo_id: 2, uses: ['octo/inner@v1']}
`
	if err := os.WriteFile(filepath.Join(own, ".github/workflows/actions.lock"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := actions.NewSource(f.open, nil)
	defer s.Close()
	locked := actions.Origin{File: ".github/workflows/ci.yml", Dir: own}
	for _, tt := range []struct {
		file, steps string
		want        job.Conclusion
		printed     []string
		message     string
	}{
		{"ci.yml", "\n- uses: octo/outer@v1", job.Success, []string{"locked inner", "locked outer"}, ""},
		{"other.yml", "\n- uses: octo/outer@v1", job.Success, []string{"moved outer"}, ""},
		{"ci.yml", "\n- run: echo never\n- uses: octo/new@v1", job.Failure, nil, ".github/workflows/ci.yml (Line: 7, Col: 15): octo/new@v1 is not in .github/workflows/actions.lock, and .github/workflows/ci.yml is locked"},
		{"ci.yml", "\n- uses: octo/outer@main", job.Failure, nil, "octo/outer@main is not in .github/workflows/actions.lock, which has octo/outer@v1 (line 7)"},
	} {
		t.Run(tt.file+tt.steps, func(t *testing.T) {
			locked.File = ".github/workflows/" + tt.file
			rec := run(t, s, locked, tt.steps, tt.want)
			if diff := cmp.Diff(tt.printed, rec.stdout); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, rec.log())
			}
			if !strings.Contains(rec.log(), tt.message) {
				t.Errorf("%q is not in\n%s", tt.message, rec.log())
			}
		})
	}
}
