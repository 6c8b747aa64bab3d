// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/sandbox"
)

// TestCommands: what a line of output can say.
func TestCommands(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - id: one
    run: |
      touch a.go
      echo "::set-output name=k::a::b"
      echo "::set-output name=l::%250A"
      echo "::group::My group"
      echo "inside ::error::no command"
      echo "::endgroup::"
      echo "  ::error file=$PWD/a.go,line=3,endLine=4,col=2,title=A%3A b::multi%0Aline"
      echo "::warning line=x::w" >&2
      echo "::notice file=/etc/x::n"
      echo "##[warning]old form"
      echo "::debug::not shown"
      echo "::unknown::plain"
      echo "::stop-commands::tok123456"
      echo "::set-output name=k::no"
      echo "tok123456 is masked"
      echo "::tok12345::" "::tok1234567::" "x ::tok123456::"
      echo "::set-output name=k::no"
      echo " ::TOK123456 a=b::more"
      echo "::set-output name=j::yes"
      echo "::echo::on"
      echo "::save-state name=s::1"
      echo "::echo::off"
      echo "::save-state name=t::1"
  - run: test "${{ steps.one.outputs.k }}${{ steps.one.outputs.l }}${{ steps.one.outputs.j }}" = "a::b%0Ayes"
`), job.Success)
	contains(t, rec, "one group.started My group", "one group.ended", "stdout: inside ::error::no command",
		"one [error] multi\nline (A: b a.go:3-4:2-0)", "one [warning] w\n", "one [notice] n ( /etc/x:0-0:0-0)", "one [warning] old form",
		"stdout: ::unknown::plain", "stdout: ::set-output name=k::no", "stdout: *** is masked", "stdout: ::save-state name=s::1")
	lacks(t, rec, "stdout: ::error", "stdout: ::group", "name=j::yes\none stdout", "name=t::1\none stdout", "stdout: not shown")
}

// TestBadCommands fail their step although its process does not.
func TestBadCommands(t *testing.T) {
	for name, tt := range map[string]struct{ line, want string }{
		"set-env":              {"::set-env name=A::b", "The `set-env` command is disabled."},
		"add-path":             {"::add-path::/x", "The `add-path` command is disabled."},
		"set-output":           {"::set-output::b", "Required field 'name' is missing in ##[set-output] command."},
		"stop without a token": {"::stop-commands::", "Invalid stop-commands token."},
		"stop with a command":  {"::stop-commands::error", "Invalid stop-commands token."},
		"echo":                 {"::echo::maybe", "Invalid echo command value."},
		"matcher":              {"::add-matcher::none.json", "none.json"},
		"matcher outside":      {"::add-matcher::/etc/passwd", "File not found '/etc/passwd'"},
	} {
		t.Run(name, func(t *testing.T) {
			_, rec := run(t, request(t, "\nsteps:\n  - run: echo \""+strings.ReplaceAll(tt.line, "`", "\\`")+"\"\n"), job.Failure)
			contains(t, rec, tt.want, "Unable to process command '"+tt.line+"' successfully.")
		})
	}
}

func TestUnsecureCommands(t *testing.T) {
	run(t, request(t, `
env: {ACTIONS_ALLOW_UNSECURE_COMMANDS: true}
steps:
  - run: |
      echo "::set-env name=A::b"
      echo "::set-env name=LD_PRELOAD::/evil"
      echo "::add-path::/my/bin"
  - run: |
      test "$A" = b && test -z "$LD_PRELOAD"
      case "$PATH" in /my/bin:*) ;; *) exit 1;; esac
`), job.Success)
}

// TestMatchers: lines become annotations.
func TestMatchers(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - run: |
      mkdir src; touch src/main.c
      cat > m.json <<'E'
      {"problemMatcher": [{"owner": "cc", "pattern": [{"regexp": "^(.*):(\\d+):(\\d+): (error|warning): (.*)$", "file": 1, "line": 2, "column": 3, "severity": 4, "message": 5}]}]}
      E
      echo "::add-matcher::m.json"
      echo "src/main.c:7:3: warning: odd"
  - run: |
      echo "none.c:1:1: error: bad"
      echo "::remove-matcher owner=cc::"
      echo "src/main.c:8:3: error: not seen"
`), job.Success)
	contains(t, rec, "__run [warning] odd ( src/main.c:7-0:3-0)", "__run stdout: src/main.c:7:3: warning: odd", "__run_2 [error] bad\n", "stdout: src/main.c:8:3")
	lacks(t, rec, "[error] not seen")
}

// TestMatchersOfStreams: what a line begins another one ends in the same stream only, and a
// matcher that Go cannot have fails nothing.
func TestMatchersOfStreams(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - run: |
      cat > m.json <<'E'
      {"problemMatcher": [{"owner": "two", "pattern": [{"regexp": "^begin$"}, {"regexp": "^(.*)end$", "message": 1}]}]}
      E
      echo '{"problemMatcher": [{"owner": "la", "pattern": [{"regexp": "^(?!x)(.*)$", "message": 1}]}]}' > la.json
      echo "::add-matcher::m.json"
      echo "::add-matcher::la.json"
      echo begin; echo "out end" >&2; echo "own end"; echo begin
  - run: echo "next end"
`), job.Success)
	contains(t, rec, "[error] own\n", "[warning] It finds nothing here: problem matcher \"la\"")
	lacks(t, rec, "[error] out", "[error] next")
}

// TestAnnotationLimit is 10 of a kind for each step.
func TestAnnotationLimit(t *testing.T) {
	_, rec := run(t, request(t, "\nsteps:\n  - run: 'for i in $(seq 15); do echo \"::error::e$i\"; echo \"::notice::n$i\"; done; echo \"::warning::$(printf \"%05000d\" 0)\"'\n  - run: echo ::error::next\n"), job.Success)
	n := map[string]int{}
	for _, e := range rec.events {
		if e.Kind == job.Annotated {
			n[e.Step+" "+e.Annotation.Level]++
			if len(e.Annotation.Message) > 4096 {
				t.Errorf("%d bytes", len(e.Annotation.Message))
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"__run error": 10, "__run notice": 10, "__run warning": 1, "__run_2 error": 1}, n); diff != "" {
		t.Error(diff)
	}
	contains(t, rec, "stdout: Error: e15")
}

// TestMasks: nothing that a job shows holds a secret, in whatever form it is printed.
func TestMasks(t *testing.T) {
	secret := "s3cr3t/Value+with=all&\"kinds\""
	forms := []string{
		secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte("x" + secret)),
		hex.EncodeToString([]byte(secret)), url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(secret, `"`, `\"`),
	}
	q := request(t, `
outputs: {leak: "${{ steps.one.outputs.leak }}", fine: fine}
steps:
  - id: one
    name: with ${{ secrets.TOKEN }}
    env: {TOKEN: "${{ secrets.TOKEN }}"}
    shell: python3 {0}
    run: |
      import base64, json, os, sys, time, urllib.parse
      t = os.environ['TOKEN']
      forms = [t, base64.b64encode(t.encode()).decode(), base64.urlsafe_b64encode(b'x' + t.encode()).decode(), t.encode().hex(), urllib.parse.quote_plus(t), urllib.parse.quote(t, safe="$&+=:@"), json.dumps(t)[1:-1]]
      for f in forms:
          print('whole', f)
          for i in range(0, len(f)):
              sys.stdout.write(f[:i]); sys.stdout.flush()
              sys.stdout.write(f[i:] + '\n'); sys.stdout.flush()
          print('::error title=' + f.replace('%', '%25').replace(':', '%3A').replace(',', '%2C') + '::' + f.replace('%', '%25'))
          print('::group::' + f)
          print('::endgroup::')
          print('x' * 65530 + f)  # over the border of a long line
          print('y' * 200000 + f + 'z' * 100000)
          print(f, file=sys.stderr)
          open(os.environ['GITHUB_STEP_SUMMARY'], 'a').write(f + '\n')
      open(os.environ['GITHUB_OUTPUT'], 'a').write('leak=' + t + '\n')
      print('line two of many', 'second line')
      print('::add-mask::more' + 'later')
      print('more' + 'later')
  - run: env | grep -c TOKEN || true
  - run: echo ghs_placeholder
`)
	q.Secrets = []job.Variable{{Name: "TOKEN", Value: secret}, {Name: "MANY", Value: "first line\nsecond line\n"}}
	res, rec := run(t, q, job.Success)
	log := rec.log()
	for _, f := range append(forms, "second line", "morelater", "ghs_placeholder") {
		if i := strings.Index(log, f); i >= 0 {
			t.Errorf("%q is shown: …%q", f, log[max(0, i-30):i+len(f)])
		}
	}
	if diff := cmp.Diff([]job.Variable{{Name: "fine", Value: "fine"}}, res.Outputs); diff != "" {
		t.Error(diff)
	}
	contains(t, rec, "Skip output 'leak' since it may contain secret.", "__run stdout: 0")
	if strings.Contains(fmt.Sprint(res.Steps), "s3cr3t") {
		t.Error("a name shows it")
	}
}

// named is a cell that remembers how its steps are called in events of the network.
type named struct {
	*executor.Cell
	names []string
}

func (n *named) Run(ctx context.Context, s executor.Step) (sandbox.Result, error) {
	n.names = append(n.names, s.As.Name)
	return n.Cell.Run(ctx, s)
}

// TestMaskedNames: what the network calls a step is masked too.
func TestMaskedNames(t *testing.T) {
	q := request(t, `
steps:
  - id: one
    run: 'echo "::add-mask::hidden-value"; echo "o=hidden-value" >> "$GITHUB_OUTPUT"'
  - {name: "about ${{ steps.one.outputs.o }}", run: "true"}
`)
	cell := &named{Cell: openCell(t)}
	q.Cell = cell
	run(t, q, job.Success)
	if want := "about ***"; len(cell.names) != 2 || cell.names[1] != want {
		t.Errorf("got %q, want %q", cell.names, want)
	}
}

// TestMaskOverlap: of two secrets that overlap nothing is left.
func TestMaskOverlap(t *testing.T) {
	_, rec := run(t, request(t, `
steps:
  - run: |
      A=abcdef; B="defghi"
      echo "::add-mask::$A"
      echo "::add-mask::$B"
      echo "v=abcdefghi;"
      echo "w=abcdefdefghi;"
      echo "::add-mask::abc"
`), job.Success)
	contains(t, rec, "stdout: v=***;", "stdout: w=***;", "[warning] A mask of fewer than 4 bytes is not hidden.")
}

// TestStrangeOutput: bytes that are no text, long lines and a flood.
func TestStrangeOutput(t *testing.T) {
	q := request(t, `
steps:
  - run: |
      printf 'a\xff\xfeb\r\n\033[31mred\033[0m\0end\nno newline'
  - run: head -c 300000 /dev/zero | tr '\0' x; echo; seq 200000
`)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	lines, longest, parts := 0, 0, 0
	var first []string
	q.Cell = openCell(t)
	q.Emit = func(e job.Event) {
		if e.Kind != job.Line || e.Stream != job.Stdout {
			return
		}
		longest = max(longest, len(e.Text))
		if e.Step == "__run" {
			first = append(first, e.Text)
			return
		}
		if strings.HasPrefix(e.Text, "x") {
			parts += len(e.Text)
		} else {
			lines++
		}
	}
	res, err := job.Run(t.Context(), q)
	if err != nil || res.Conclusion != job.Success {
		t.Fatalf("%+v, %v", res, err)
	}
	runtime.GC()
	runtime.GC() // what a sync.Pool holds goes with the second one
	runtime.ReadMemStats(&after)
	if want := []string{"a\ufffdb", "\x1b[31mred\x1b[0m\x00end", "no newline"}; !slices.Equal(first, want) {
		t.Errorf("%q", first)
	}
	if lines != 200000 || parts != 300000 || longest > 65536 {
		t.Errorf("%d lines, %d bytes in parts, longest %d", lines, parts, longest)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d bytes are held", grown)
	}
}

// TestLargeState: outputs of a job are bounded, and so is what its steps keep.
func TestLargeState(t *testing.T) {
	res, rec := run(t, request(t, `
outputs: {a: "${{ steps.one.outputs.a }}", b: "${{ steps.one.outputs.b }}"}
steps:
  - id: one
    run: for n in a b; do echo "$n=$(head -c 600000 /dev/zero | tr '\0' x)" >> "$GITHUB_OUTPUT"; done
`), job.Failure)
	contains(t, rec, "The job's outputs take more than 1024 KiB; 'b'")
	if len(res.Outputs) != 1 {
		t.Errorf("%d outputs", len(res.Outputs))
	}
	q := request(t, "\nsteps:\n"+strings.Repeat("  - {run: 'echo \"n=$(head -c 16000000 /dev/zero | tr \"\\0\" x)\" >> $GITHUB_OUTPUT', if: always()}\n", 5))
	_, rec = run(t, q, job.Failure)
	contains(t, rec, "__run_4 = success", "the steps of this job set more than 64 MiB")
}

// TestLongInfo: what we print ourselves comes in lines that are not too long either.
func TestLongInfo(t *testing.T) {
	_, rec := run(t, request(t, "\nsteps:\n  - {run: echo x, env: {A: "+strings.Repeat("y", 100000)+", B: \"1\\n2\"}}\n"), job.Success)
	for _, e := range rec.events {
		if len(e.Text) > 65536 || strings.Contains(e.Text, "\n") {
			t.Errorf("%s: %d bytes", e.Kind, len(e.Text))
		}
	}
}

// TestManyEntries: a hundred thousand outputs, variables of later steps and directories take
// no more than their share of time each.
func TestManyEntries(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("it takes too long"))
	defer cancel()
	res, rec := runIn(ctx, t, request(t, `
steps:
  - id: a
    run: |
      seq 100000 | sed 's/.*/k&=v&/' >> "$GITHUB_OUTPUT"
      echo K7=last >> "$GITHUB_OUTPUT"
      seq 2 20000 | sed 's,.*,/no/dir&,' >> "$GITHUB_PATH"
      echo /no/dir7 >> "$GITHUB_PATH"
  - run: echo "${{ steps.a.outputs.k99999 }} ${{ steps.a.outputs.k7 }}"
    env: {PATH: /usr/bin:/bin}
`))
	// So many directories are more than a process can have.
	contains(t, rec, "a = success/success", "rgument list too long")
	if res.Conclusion != job.Failure {
		t.Errorf("the job is %s\n%s", res.Conclusion, rec.log())
	}
}

// TestLongCommands: a command is one however long its line is, and one that names a secret
// is never shown; nor is the beginning of a secret where a message is cut.
func TestLongCommands(t *testing.T) {
	q := request(t, `
steps:
  - id: a
    run: |
      long() { head -c "$1" /dev/zero | tr '\0' "$2"; }
      echo "::add-mask::$(long 70000 q)-END-""OF-IT"
      printf '::add-mask::%s-%s\n' "$(long 300000 r)" TOO-""MUCH
      echo "::set-output name=o::$(long 1000000 x)"
      echo "::notice::$(long 4080 y)a-secret-of-more-than-16-bytes"
      echo "::group::$(long 200000 z)"
      echo "::unknown::$(long 200000 u)-plain"
  - if: always() && endsWith(steps.a.outputs.o, 'xxx')
    run: echo kept
`)
	q.Secrets = []job.Variable{{Name: "S", Value: "a-secret-of-more-than-16-bytes"}}
	res, rec := runIn(t.Context(), t, q)
	if res.Steps[0].Outcome != job.Failure { // there is one mask too large
		t.Errorf("%+v", res.Steps)
	}
	contains(t, rec, "Unable to process command '::add-mask::***' successfully.", "-plain\n", "stdout: kept")
	lacks(t, rec, "END-OF-IT", "TOO-MUCH", "ya-secret", "xxxxx")
	for _, e := range rec.events {
		if len(e.Text) > 64<<10 {
			t.Errorf("%s of %d bytes", e.Kind, len(e.Text))
		}
	}
}
