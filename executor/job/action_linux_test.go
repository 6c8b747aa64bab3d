// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// actions are hand-made ones by their uses.
type actions map[string]*job.Action

func (a actions) Load(_ context.Context, u job.Use, _ fs.FS) (*job.Action, error) {
	if found := a[u.Text]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '%s'. Did you forget to run actions/checkout before running your local action?", u.Text)
}

// stepsOf are steps as written in a workflow.
func stepsOf(t *testing.T, text string) []*workflows.Step {
	t.Helper()
	return request(t, "\nsteps:"+strings.ReplaceAll(text, "\n", "\n  ")).Steps
}

func text(s string) *syntax.Token { return &syntax.Token{Kind: syntax.String, Text: s} }

func expression(s string) *syntax.Token { return &syntax.Token{Kind: syntax.Expression, Text: s} }

// nodeAction is a JavaScript action outside of the workspace.
func nodeAction(t *testing.T, name string, scripts map[string]string) *job.Action {
	t.Helper()
	testenv.NeedTool(t, "node")
	dir, err := os.MkdirTemp("/var/tmp", "zviz-action") //nolint:usetesting // a step reads it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	target := "/opt/zviz/actions/" + name
	return &job.Action{
		Using: job.Node, NodeVersion: 20, Dir: target, Files: os.DirFS(dir), Repository: "octo/" + name, Ref: "v1",
		Mounts: []sandbox.Mount{{Source: dir, Target: target}}, Main: "main.js",
	}
}

// TestNodeAction: inputs, outputs, state, and the order of pre, main and post.
func TestNodeAction(t *testing.T) {
	script := func(part string) string {
		return `
const fs = require('fs'), e = process.env;
console.log('` + part + ` ' + e['INPUT_NAME'] + ' ' + e['INPUT_MY-KEY'] + ' ' + e['INPUT_SP_ACE'] + ' state=' + e.STATE_s + ' ' + e.GITHUB_ACTION_REPOSITORY + ' ' + (e.GITHUB_ACTION_PATH || 'nopath') + ' ' + e.ACTIONS_CACHE_URL + ' ' + process.cwd());
fs.appendFileSync(e.GITHUB_STATE, 's=` + part + `\n');
fs.appendFileSync(e.GITHUB_OUTPUT, 'o=` + part + `\n');
if (e.INPUT_FAIL == '` + part + `') process.exit(1);
`
	}
	a := nodeAction(t, "a", map[string]string{"pre.js": script("pre"), "main.js": script("main"), "post.js": script("post")})
	a.Pre, a.Post = "pre.js", "post.js"
	a.Inputs = []job.Input{{Name: "name", Default: text("none")}, {Name: "my-key", Default: expression("github.job")}, {Name: "sp ace"}, {Name: "fail", Deprecation: "do not fail"}}
	q := request(t, `
steps:
  - run: echo first; test -z "$ACTIONS_CACHE_URL"
  - {id: one, uses: octo/a@v1, with: {name: one, odd: x}}
  - run: echo "${{ steps.one.outputs.o }}"
  - {id: two, uses: octo/a@v1, with: {name: two, fail: main}, continue-on-error: true}
  - {uses: octo/a@v1, if: false, with: {name: three}}
  - {id: four, uses: octo/a@v1, with: {name: four, fail: post}}
`)
	q.Actions = actions{"octo/a@v1": a}
	q.ActionEnv = []job.Variable{{Name: "ACTIONS_CACHE_URL", Value: "cache"}}
	res, rec := run(t, q, job.Failure)
	line := func(part, name, state string) string {
		return part + " " + name + " a  state=" + state + " octo/a nopath cache /home/runner/work/hello/hello"
	}
	want := []string{
		line("pre", "one", "undefined"), line("pre", "two", "undefined"), line("pre", "three", "undefined"), line("pre", "four", "undefined"),
		"first", line("main", "one", "pre"), "main", line("main", "two", "pre"), line("main", "four", "pre"),
		line("post", "four", "main"), line("post", "three", "pre"), line("post", "two", "main"), line("post", "one", "main"),
	}
	if diff := cmp.Diff(want, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	contains(t, rec, "Unexpected input(s) 'odd', valid inputs are ['name', 'my-key', 'sp ace', 'fail']", "Input 'fail' has been deprecated with message: do not fail",
		`"Post Run octo/a@v1"`, "two = failure/success", "post:four = failure/failure")
	if n := len(res.Steps); n != 14 {
		t.Errorf("%d steps\n%s", n, rec.log())
	}
}

// The clients of artifacts refuse servers that they do not know, so their actions, and no
// other ones, are shown one that they do.
func TestArtifactServer(t *testing.T) {
	q := request(t, `
steps:
  - run: echo "run $GITHUB_SERVER_URL"
  - uses: Actions/Upload-Artifact@v4
  - uses: octo/a@v1
`)
	script := map[string]string{"main.js": "console.log('action ' + process.env.GITHUB_SERVER_URL)"}
	client := nodeAction(t, "client", script)
	client.Repository = "Actions/Upload-Artifact"
	q.Actions = actions{"Actions/Upload-Artifact@v4": client, "octo/a@v1": nodeAction(t, "a", script)}
	q.ArtifactServer = "https://known.test"
	q.Contexts["github"] = expr.NewObject(expr.Member{Name: "server_url", Value: expr.String("https://forge.test")})
	_, rec := run(t, q, job.Success)
	if diff := cmp.Diff([]string{"run https://forge.test", "action https://known.test", "action https://forge.test"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	contains(t, rec, "GITHUB_SERVER_URL is https://known.test for this step")
}

// TestPostIf is not joined with success(), and looks at the job's status.
func TestPostIf(t *testing.T) {
	a := func(name, pre, post string) *job.Action {
		a := nodeAction(t, name, map[string]string{"pre.js": "console.log('pre " + name + "')", "main.js": "", "post.js": "console.log('post " + name + "')"})
		a.Pre, a.Post, a.PreIf, a.PostIf = "pre.js", "post.js", pre, post
		return a
	}
	q := request(t, `
steps:
  - uses: octo/plain@v1
  - uses: octo/good@v1
  - uses: octo/bad@v1
  - uses: octo/broken@v1
  - run: exit 1
`)
	q.Actions = actions{
		"octo/plain@v1": a("plain", "runner.os == 'Linux'", "runner.os == 'Linux'"), "octo/good@v1": a("good", "failure()", "success()"),
		"octo/bad@v1": a("bad", "success()", "failure()"), "octo/broken@v1": a("broken", "", "fromJSON('bad')"),
	}
	_, rec := run(t, q, job.Failure)
	if diff := cmp.Diff([]string{"pre plain", "pre bad", "pre broken", "post bad", "post plain"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	contains(t, rec, "post:__octo_broken = failure/failure")
}

// TestComposite: inputs, outputs, a scope of steps of its own, what it leaves behind.
func TestComposite(t *testing.T) {
	inner := nodeAction(t, "inner", map[string]string{"main.js": `console.log('inner ' + process.env.INPUT_X + ' ' + process.env.OUTER)`, "post.js": `console.log('inner post')`})
	inner.Post = "post.js"
	inner.Inputs = []job.Input{{Name: "x"}}
	q := request(t, `
steps:
  - {id: same, run: echo "v=outer" >> "$GITHUB_OUTPUT"}
  - {id: c, uses: octo/c@v1, env: {OUTER: yes}, with: {who: "${{ 'world' }}"}}
  - run: |
      test "${{ steps.c.outputs.greeting }}/${{ steps.same.outputs.v }}" = "hello world/outer"
      test "$FROM_INNER/$OUTER" = set/
      test "${{ steps.c.outcome }}" = success
`)
	q.Actions = actions{"octo/inner@v1": inner, "octo/c@v1": {
		Using: job.Composite, Dir: "/opt/zviz/actions/c", Repository: "octo/c", Ref: "v1",
		Inputs:  []job.Input{{Name: "who", Default: text("nobody")}, {Name: "other", Default: text("default")}},
		Outputs: []job.Output{{Name: "greeting", Value: expression("format('hello {0}', steps.same.outputs.v)")}},
		Steps: stepsOf(t, `
- id: same
  shell: bash
  run: |
    test -z "$INPUT_WHO" && test "$OUTER" = yes && test "$GITHUB_ACTION_PATH/$GITHUB_ACTION_REPOSITORY" = /opt/zviz/actions/c/octo/c
    test "${{ inputs.other }}" = default
    echo "v=${{ inputs.who }}" >> "$GITHUB_OUTPUT"
    echo "FROM_INNER=set" >> "$GITHUB_ENV"
- {uses: octo/inner@v1, with: {x: "${{ inputs.who }}"}}
- {shell: bash, run: 'test "$FROM_INNER" = set'}
`),
	}}
	_, rec := run(t, q, job.Success)
	if diff := cmp.Diff([]string{"inner world yes", "inner post"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	contains(t, rec, "c/same = success/success", "c/__octo_inner step.started", "c/post:__octo_inner = success/success")
}

// TestCompositePost: the post of an action that has a pre knows what its main knew, which
// its pre could not.
func TestCompositePost(t *testing.T) {
	script := func(part string) string { return "console.log('" + part + " ' + process.env.INPUT_X)" }
	inner := nodeAction(t, "inner", map[string]string{"pre.js": script("pre"), "main.js": script("main"), "post.js": script("post")})
	inner.Pre, inner.Post, inner.Inputs = "pre.js", "post.js", []job.Input{{Name: "x"}}
	q := request(t, `
steps:
  - {id: one, run: 'echo "token=abc" >> "$GITHUB_OUTPUT"'}
  - {uses: octo/c@v1, with: {token: "${{ steps.one.outputs.token }}"}}
`)
	q.Actions = actions{"octo/inner@v1": inner, "octo/c@v1": {
		Using: job.Composite, Dir: "/opt/zviz/actions/c", Inputs: []job.Input{{Name: "token"}},
		Steps: stepsOf(t, `
- {id: two, shell: bash, run: 'echo "o=def" >> "$GITHUB_OUTPUT"'}
- {uses: octo/inner@v1, with: {x: "${{ inputs.token }}/${{ steps.two.outputs.o }}"}}
`),
	}}
	_, rec := run(t, q, job.Success)
	if diff := cmp.Diff([]string{"pre /", "main abc/def", "post abc/def"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
}

// TestCompositeTimeout: it is the step of the job whose time is over.
func TestCompositeTimeout(t *testing.T) {
	q := request(t, `
steps:
  - {id: c, name: outer, uses: octo/c@v1, timeout-minutes: 1}
`)
	q.Actions = actions{"octo/c@v1": {
		Using: job.Composite, Dir: "/opt/zviz/actions/c",
		Steps: stepsOf(t, `
- {id: slow, shell: bash, run: "trap 'exit 1' INT; while true; do sleep 0.05; done"}
- {shell: bash, run: echo never, if: always()}
`),
	}}
	q.Cell = openCell(t)
	var rec record
	q.Emit = rec.add
	res, err := job.RunWith(t.Context(), q, 500*time.Millisecond)
	if err != nil || res.Conclusion != job.Failure || res.Steps[0].Outcome != job.Failure {
		t.Errorf("%+v, %v", res, err)
	}
	contains(t, &rec, "c [error] The action 'outer' has timed out after 1 minutes.", "c/slow [error] The operation was canceled.", "c/slow = cancelled/cancelled")
	lacks(t, &rec, "after 0 minutes", "stdout: never")
}

// TestCompositeStatus: its steps look at the status of the action, and no secret is
// theirs.
func TestCompositeStatus(t *testing.T) {
	q := request(t, `
steps:
  - {run: exit 1}
  - {id: c, uses: octo/c@v1, if: always(), continue-on-error: true}
  - {if: "always() && steps.c.outcome == 'failure' && steps.c.outputs.o == 'seen'", run: echo outcome}
`)
	q.Secrets = []job.Variable{{Name: "TOKEN", Value: "secret-value"}}
	q.Actions = actions{"octo/c@v1": {
		Using: job.Composite, Dir: "/opt/zviz/actions/c", Outputs: []job.Output{{Name: "o", Value: expression("steps.f.outputs.o")}},
		Steps: stepsOf(t, `
- {shell: bash, run: "echo A ${{ github.action_status }}"}
- {id: f, shell: bash, run: "echo o=seen >> $GITHUB_OUTPUT; exit 1"}
- {shell: bash, run: echo no}
- {shell: bash, run: echo B, if: failure()}
- {shell: bash, run: echo no, if: success()}
- {shell: bash, run: "echo ${{ secrets.TOKEN }} no", if: always()}
- {shell: bash, run: "false", if: always(), continue-on-error: true}
- {shell: bash, run: echo C, if: always()}
`),
	}}
	_, rec := run(t, q, job.Failure)
	if diff := cmp.Diff([]string{"A success", "B", "C", "outcome"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	contains(t, rec, "Unrecognized named-value: 'secrets'")
}

// TestCompositeCancel: a step of an action that is cancelled ends, one with always()
// runs, and so do the posts.
func TestCompositeCancel(t *testing.T) {
	for outer, want := range map[string][]string{
		"success()": {"begin", "interrupted", "post"},
		"always()":  {"begin", "interrupted", "inner always", "post"},
	} {
		t.Run(outer, func(t *testing.T) {
			last := nodeAction(t, "last", map[string]string{"main.js": "", "post.js": "console.log('post')"})
			last.Post = "post.js"
			q := request(t, "\nsteps:\n  - uses: octo/last@v1\n  - {id: c, uses: octo/c@v1, if: "+outer+"}\n  - {run: echo never}\n")
			q.Actions = actions{"octo/last@v1": last, "octo/c@v1": {
				Using: job.Composite, Dir: "/opt/zviz/actions/c",
				Steps: stepsOf(t, `
- {shell: bash, run: "trap 'echo interrupted; exit 1' INT; echo begin; while true; do sleep 0.05; done"}
- {shell: bash, run: echo no}
- {shell: bash, run: echo inner always, if: always()}
`),
			}}
			q.Cell = openCell(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			var rec record
			q.Emit = func(e job.Event) {
				rec.add(e)
				if e.Text == "begin" && e.Stream == job.Stdout {
					cancel(errors.New("stop"))
				}
			}
			res, err := job.Run(ctx, q)
			if err != nil || res.Conclusion != job.Cancelled {
				t.Errorf("%+v, %v", res, err)
			}
			if diff := cmp.Diff(want, rec.printed()); diff != "" {
				t.Errorf("%s\n%s", diff, rec.log())
			}
			contains(t, &rec, "c = cancelled/cancelled")
		})
	}
}

// TestActionFiles: the steps of a composite action see its files, and later steps those
// of an action that put a directory of its own into PATH.
func TestActionFiles(t *testing.T) {
	a := nodeAction(t, "files", map[string]string{"tool": "#!/bin/sh\necho from the action\n"})
	if err := os.Chmod(filepath.Join(a.Mounts[0].Source, "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	a.Using, a.Steps = job.Composite, stepsOf(t, `
- {shell: bash, run: '"$GITHUB_ACTION_PATH/tool"; echo "$GITHUB_ACTION_PATH" >> "$GITHUB_PATH"'}
`)
	q := request(t, `
steps:
  - run: test ! -e /opt/zviz/actions/files
  - uses: octo/files@v1
  - run: tool; ! touch /opt/zviz/actions/files/x
`)
	q.Actions = actions{"octo/files@v1": a}
	_, rec := run(t, q, job.Success)
	if diff := cmp.Diff([]string{"from the action", "from the action"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
}

// TestActionErrors fail the step, or the job if they are known before it.
func TestActionErrors(t *testing.T) {
	deep := &job.Action{Using: job.Composite, Dir: "/opt/zviz/actions/deep"}
	deep.Steps = stepsOf(t, "\n- uses: octo/deep@v1")
	localDeep := &job.Action{Using: job.Composite, Dir: "/home/runner/work/hello/hello/deep"}
	localDeep.Steps = stepsOf(t, "\n- uses: ./deep")
	q := func(step string) job.Request {
		q := request(t, "\nsteps:\n  - {run: echo before}\n  - "+step+"\n")
		q.Actions = actions{
			"octo/deep@v1": deep, "./deep": localDeep,
			"./noshell": {Using: job.Composite, Dir: "/x", Steps: stepsOf(t, "\n- run: x")},
			"./up":      {Using: job.Node, Dir: "/home/runner/work/hello/hello/up", Main: "../../x.js"},
			"./docker":  {Using: "docker", Dir: "/x"},
		}
		return q
	}
	for _, tt := range []struct {
		step, want string
		before     bool // the job's steps run until then
	}{
		{"{uses: octo/missing@v1}", "Can't find 'action.yml'", false},
		{"{uses: octo/deep@v1}", "Composite action depth exceeded max depth 9", false},
		{"{uses: ./missing}", "Did you forget to run actions/checkout", true},
		{"{uses: ./deep}", "Composite action depth exceeded max depth 9", true},
		{"{uses: ./noshell}", "Required property is missing: shell", true},
		{"{uses: ./up}", "leads out of the action", true},
		{"{uses: ./docker}", "'using: docker' is not run here", true},
		{"{uses: 'docker://alpine'}", "docker actions are not run here", false},
	} {
		t.Run(tt.step, func(t *testing.T) {
			_, rec := run(t, q(tt.step), job.Failure)
			contains(t, rec, tt.want)
			if got := len(rec.printed()) == 1; got != tt.before {
				t.Errorf("steps ran: %t\n%s", got, rec.log())
			}
		})
	}
}

// asked are the versions of Node.js that a job asks for.
type asked []string

func (a *asked) Node(_ context.Context, wanted, least int) (job.Program, error) {
	*a = append(*a, fmt.Sprintf("%d/%d", wanted, least))
	if least == 12 {
		return job.Program{}, errors.New("no such version")
	}
	return job.Program{Path: "/usr/bin/node", Note: "a note about the version"}, nil
}

// TestNodeVersion: which version an action runs with, its variables say too.
func TestNodeVersion(t *testing.T) {
	a := nodeAction(t, "a", map[string]string{"main.js": ""})
	newer := *a
	newer.NodeVersion = 24
	none := *a
	none.NodeVersion = 12
	q := request(t, `
steps:
  - {uses: octo/a@v1}
  - {uses: octo/newer@v1}
  - {uses: octo/a@v1, env: {ACTIONS_ALLOW_USE_UNSECURE_NODE_VERSION: true}}
  - run: echo "ACTIONS_ALLOW_USE_UNSECURE_NODE_VERSION=true" >> "$GITHUB_ENV"
  - {uses: octo/a@v1}
  - {uses: octo/a@v1, env: {FORCE_JAVASCRIPT_ACTIONS_TO_NODE24: true}}
  - {uses: octo/none@v1, continue-on-error: true}
`)
	var versions asked
	q.Actions, q.Tools = actions{"octo/a@v1": a, "octo/newer@v1": &newer, "octo/none@v1": &none}, &versions
	_, rec := run(t, q, job.Success)
	if diff := cmp.Diff(asked{"24/20", "24/24", "20/20", "20/20", "24/20", "20/12"}, versions); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	contains(t, rec, "info: a note about the version", "This is likely a configuration error", "octo/none@v1: no such version")
}

// TestActionRoot: the scripts of an action may lie beside its folder, and not beside its
// repository.
func TestActionRoot(t *testing.T) {
	a := nodeAction(t, "a", map[string]string{"main.js": "console.log('beside ' + process.env.GITHUB_ACTION)", "tsc.json": `{"problemMatcher": []}`})
	sub, out, top := *a, *a, *a
	sub.Root, sub.Dir, sub.Main = a.Dir, a.Dir+"/sub", "../main.js"
	out.Root, out.Dir, out.Main = a.Dir, a.Dir+"/sub", "../../a2/main.js"
	top.Root, top.Dir, top.Main = a.Dir, a.Dir+"/sub", ".."
	q := request(t, `
steps:
  - {id: one, uses: octo/sub@v1}
  - {id: two, uses: octo/out@v1, continue-on-error: true}
  - {id: three, uses: octo/top@v1, continue-on-error: true}
`)
	q.Actions = actions{"octo/sub@v1": &sub, "octo/out@v1": &out, "octo/top@v1": &top}
	_, rec := run(t, q, job.Success)
	if diff := cmp.Diff([]string{"beside one"}, rec.printed()); diff != "" {
		t.Errorf("%s\n%s", diff, rec.log())
	}
	contains(t, rec, "octo/out@v1: ../../a2/main.js leads out of the action", "octo/top@v1: .. leads out of the action")
}
