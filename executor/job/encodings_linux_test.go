// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/internal/mask"
)

// encodingsScript prints a secret in every encoding that is hidden, each made by the
// tool or library that people use, wherever a job can show something.
const encodingsScript = `
import base64, html, json, os, re, shlex, subprocess, urllib.parse
from xml.sax import saxutils
t, long = os.environ['SHORT'], os.environ['LONG'].encode()
b = t.encode()
def tool(*args): return subprocess.run(args, input=long, stdout=subprocess.PIPE, check=True).stdout.decode().strip()
def lower(s): return re.sub('%..', lambda m: m[0].lower(), s)
forms = {
    'plain': t,
    'hex': b.hex(),
    'hex-upper': b.hex().upper(),
    'base64': base64.b64encode(b).decode(),
    'base64-after-1': base64.b64encode(b'x' + b + b'q').decode(),
    'base64-after-2': base64.b64encode(b'xy' + b + b'q').decode(),
    'base64url': base64.urlsafe_b64encode(b).decode(),
    'base64url-after-1': base64.urlsafe_b64encode(b'x' + b + b'q').decode(),
    'base64url-after-2': base64.urlsafe_b64encode(b'xy' + b + b'q').decode(),
    'url-form': urllib.parse.quote_plus(t),
    'url-quote': urllib.parse.quote(t),
    'url-path': urllib.parse.quote(t, safe='$&+=:@'),
    'url-component': urllib.parse.quote(t, safe="!'()*-._~"),
    'url-lower': lower(urllib.parse.quote(t)),
    'json': json.dumps(t, ensure_ascii=False)[1:-1],
    'json-ascii': json.dumps(t)[1:-1],
    'json-html': json.dumps(t).replace('&', '\\u0026').replace('<', '\\u003c').replace('>', '\\u003e')[1:-1],
    'json-slashes': json.dumps(t, ensure_ascii=False).replace('/', '\\/')[1:-1],
    'xml': saxutils.escape(t),
    'xml-attribute': saxutils.escape(t, {'"': '&quot;', "'": '&apos;'}),
    'html': html.escape(t),
    'html-decimal': saxutils.escape(t, {'"': '&#34;', "'": '&#39;'}),
    'expression': t.replace("'", "''"),
    'shell': t.replace("'", "'\\''"),
    'shlex': shlex.quote(t)[1:-1],
    'backslashes': t.replace('"', '\\"'),
    'base64-lines': tool('base64'),
    'openssl-lines': tool('openssl', 'base64'),
    'xxd-lines': tool('xxd', '-p'),
}
def write(fd, s):
    s = s.encode()
    while s: s = s[os.write(fd, s):]
def escape(s, more=''):
    for c in '%\r\n' + more: s = s.replace(c, '%%%02X' % ord(c))
    return s
for k, (name, f) in enumerate(forms.items()):
    if 'CONTROL' in os.environ:
        print('FORM', name, f.encode().hex(), flush=True)
    for i in range(len(f) + 1):
        for fd, stream in (1, 'stdout'), (2, 'stderr'):
            write(fd, name + ' ' + stream + ' ' + f[:i])
            write(fd, f[i:] + '\n')
        if 'CONTROL' not in os.environ: # where a long line is cut
            write(1, 'x' * (65536 - i) + f + '\n')
    write(1, '::%s title=%s title %s::%s message %s\n' % (('error', 'warning', 'notice')[k % 3], name, escape(f, ':,'), name, escape(f)))
    write(1, '::group::%s group %s\n::endgroup::\n' % (name, escape(f)))
    open(os.environ['GITHUB_STEP_SUMMARY'], 'a').write('%s summary %s\n' % (name, f))
    open(os.environ['GITHUB_OUTPUT'], 'a').write('%s<<EOF\n%s\nEOF\n' % (name, f))
    open(os.environ['GITHUB_ENV'], 'a').write('E_%s<<EOF\n%s env %s\nEOF\n' % (name.replace('-', '_'), name, f))
`

// shown is what a job showed of encodings.
type shown struct {
	forms  map[string]string // by name, as the run without secrets printed them
	runs   map[string]string // eight bytes of a form: its name
	masked map[string]int    // "name channel": texts with a mask
	found  map[string]int    // "name channel": runs in it
	border int               // masks in lines that were cut
	tails  map[string]string // of each stream, since a line comes in parts
}

const runBytes = 8

func (s *shown) event(e job.Event) {
	switch e.Kind {
	case job.Annotated:
		s.text("", e.Annotation.Message)
		s.text("", e.Annotation.Title)
	case job.Line, job.Summary:
		if s.runs == nil && strings.HasPrefix(e.Text, "FORM ") {
			words := strings.Fields(e.Text)
			form, _ := hex.DecodeString(words[2])
			s.forms[words[1]] = string(form)
			return
		}
		for line := range strings.Lines(e.Text) {
			s.text(string(e.Kind)+e.Stream, strings.TrimSuffix(line, "\n"))
		}
	default:
		s.text("", e.Text)
		s.text("", e.Name)
	}
}

// text looks at a text, and at what stands before it in its stream.
func (s *shown) text(stream, text string) {
	if bare := strings.TrimLeft(text, "x"); len(text)-len(bare) > 1000 {
		text = bare
		s.border += strings.Count(text, mask.Text)
	} else if strings.HasPrefix(text, mask.Text) {
		s.border++
	}
	key := "other"
	if words := strings.Fields(strings.TrimLeft(text, " ")); len(words) > 2 {
		if strings.HasPrefix(words[0], "E_") { // "E_NAME: NAME env FORM"
			words = words[1:]
		}
		key = words[0] + " " + words[1]
	}
	if strings.Contains(text, mask.Text) {
		s.masked[key]++
	}
	if stream != "" {
		text, s.tails[stream] = s.tails[stream]+text, text[max(0, len(text)-runBytes+1):]
	}
	for i := range max(0, len(text)-runBytes+1) {
		if s.runs[text[i:i+runBytes]] != "" {
			s.found[key]++
		}
	}
}

// TestEncodings: of a secret that is printed in every encoding, in two writes cut at
// every place, wherever a job can show something, no eight bytes of any encoding are
// shown. Where the job's secrets are not known to the runner, all are.
func TestEncodings(t *testing.T) {
	const short = `s3cr3t/V+w=&"'<é> %~`
	long := "a-very-long-secret-" + strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz!", 4)
	try := func(runs, forms map[string]string, secrets ...job.Variable) (*shown, job.Result) {
		var outputs strings.Builder
		for name := range forms {
			fmt.Fprintf(&outputs, "  %s: ${{ steps.one.outputs.%s }}\n", name, name)
		}
		q := request(t, "\noutputs:\n  none: none\n"+outputs.String()+"steps:\n  - id: one\n    shell: python3 {0}\n    run: |\n      "+
			strings.ReplaceAll(strings.TrimSpace(encodingsScript), "\n", "\n      ")+"\n  - run: 'true'\n")
		s := &shown{runs: runs, forms: map[string]string{}, masked: map[string]int{}, found: map[string]int{}, tails: map[string]string{}}
		q.Emit, q.Cell, q.Secrets = s.event, openCell(t), secrets
		q.Env = []job.Setting{{Name: "SHORT", Text: job.Text{Value: short}}, {Name: "LONG", Text: job.Text{Value: long}}}
		if secrets == nil {
			q.Env = append(q.Env, job.Setting{Name: "CONTROL", Text: job.Text{Value: "1"}})
		}
		res, err := job.Run(t.Context(), q)
		if err != nil || res.Conclusion != job.Success {
			t.Fatalf("%s, %v", res.Conclusion, err)
		}
		return s, res
	}
	learned, _ := try(nil, nil)
	forms, runs := learned.forms, map[string]string{}
	if len(forms) < 20 {
		t.Fatalf("only %d encodings", len(forms))
	}
	for name, f := range forms {
		for i := range len(f) - runBytes + 1 {
			runs[f[i:i+runBytes]] = name
		}
	}
	channels := []string{"stdout", "stderr", "title", "message", "group", "summary", "env"}
	open, res := try(runs, forms)
	hidden, secretRes := try(runs, forms, job.Variable{Name: "SHORT", Value: short}, job.Variable{Name: "LONG", Value: long})
	for name, f := range forms {
		for _, c := range channels {
			key := name + " " + c
			if open.found[key] == 0 {
				t.Errorf("%s is not found where nothing hides it", key)
			}
			if hidden.masked[key] == 0 {
				t.Errorf("%s: no mask", key)
			}
		}
		for _, stream := range []string{"stdout", "stderr"} {
			want := utf8.RuneCountInString(f) + 1
			if n := hidden.masked[name+" "+stream]; n != want && !strings.Contains(f, "\n") {
				t.Errorf("%s %s: %d masks, want %d", name, stream, n, want)
			}
		}
	}
	if len(hidden.found) > 0 {
		t.Errorf("shown: %v", hidden.found)
	}
	cuts := 0
	for _, f := range forms {
		first, _, _ := strings.Cut(f, "\n")
		cuts += utf8.RuneCountInString(first) + 1
	}
	if hidden.border < cuts {
		t.Errorf("%d masks in long lines, want %d", hidden.border, cuts)
	}
	if len(res.Outputs) != len(forms)+1 {
		t.Errorf("without secrets %d outputs, want %d", len(res.Outputs), len(forms)+1)
	}
	if diff := cmp.Diff([]job.Variable{{Name: "none", Value: "none"}}, secretRes.Outputs); diff != "" {
		t.Error(diff)
	}
	t.Logf("%d encodings in %d channels and outputs: %s", len(forms), len(channels), strings.Join(slices.Sorted(maps.Keys(forms)), " "))
}
