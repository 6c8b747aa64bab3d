// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows/plan"
)

// style is what we write, and what a job may.
var style = regexp.MustCompile(`\x1b\[[0-9;:]*m`)

// harmless fails if a text would act on a terminal other than by colours, which end
// with the line.
func harmless(t testing.TB, text string, colors bool) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Fatalf("invalid UTF-8: %q", text)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if colors {
			if all := style.FindAllString(line, -1); len(all) > 0 && all[len(all)-1] != "\x1b[0m" {
				t.Fatalf("a colour outlives its line: %q", line)
			}
			line = style.ReplaceAllString(line, "")
		}
		for _, r := range line {
			if r != '\t' && (unicode.IsControl(r) || !unicode.IsGraphic(r)) {
				t.Fatalf("%U in %q", r, line)
			}
		}
	}
}

// command is what the runner that we run in might obey.
var command = regexp.MustCompile(`(?m)^[ \t]*::|##[A-Za-z]*\[`)

func noCommand(t testing.TB, text string) {
	t.Helper()
	if found := command.FindString(text); found != "" {
		t.Fatalf("a command %q in %q", found, text)
	}
}

// hostile are texts that would do something to a terminal, or to a reader.
func hostile() []string {
	return []string{
		"\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]52;c;cm0gLXJmIC8=\x07", "\x1b[?1049h", "\x1b[6n", "\x1bc", "\x1b[", "\x1b", "\x1b[31",
		"\x1b[31mred", "\x1b[38;2;1;2;3mdeep", "\x1b[31m\x1b[K", "\x1b[2K", "\x1b[1;1H", "\x1b[31;\x1b[2J", "\x1b[" + strings.Repeat("1;", 100) + "m",
		"\u009b2J", "\u009d0;x\u009c", "\u202egpj.exe", "\u2066a\u2069", "a\u200bb", "\U000e0041", "\u2028next", "a\x00b", "a\x08\x08b", "bell\x07",
		"first\rsecond", "\r\r", "", "a\tb", "100%\x1b[G", "::set-output name=a::b", " ::add-mask::e", "##[set-output name=a]b", "###vso[task.setvariable variable=a]b", "✓ success", "[build] ✓ success 1.0s", "\ufffd", "漢字", strings.Repeat("x", 70_000), "a" + strings.Repeat("漢", 25_000),
	}
}

// allWith puts a text wherever a job or its workflow may.
func allWith(text string) []run.Event {
	r := (&recording{}).run(text)
	r.job("a", text)
	r.begins("a", "s", text)
	r.info("a", "s", text)
	r.group("a", "s", text)
	r.line("a", "s", text)
	r.groupEnds("a", "s")
	r.step("a", job.Event{Kind: job.Line, Step: "s", Stream: job.Debug, Text: text})
	r.line("a", "s/"+text, text)
	r.annotation("a", "s", job.Annotation{Level: "error", Message: text, Title: text, File: text, Code: text, Line: 1})
	r.annotation("a", "", job.Annotation{Level: text, Message: text + "\n" + text})
	r.add(run.Event{Kind: run.JobEgress, Job: "a", Egress: &egress.Event{
		Time: noon, Step: text, Verdict: egress.VerdictDeny, Door: egress.DoorTLS, Host: text, Port: 443, Reason: egress.ReasonHost, Hint: text,
		Process: egress.Process{PID: 7, Exe: text}, Package: egress.Package{Pkg: text, Script: text},
	}})
	r.step("a", job.Event{Kind: job.Summary, Step: "s", Text: text + "\n" + text})
	r.ends("a", "s", text, job.Failure, 1)
	r.jobEnds("a", plan.Failure, time.Second, text)
	r.name["b"] = text
	r.jobEnds("b", plan.Skipped, 0, text)
	r.runEnds(text, plan.Failure)
	return r.events
}

// Whatever a job writes anywhere, no view lets it act on a terminal.
func TestHostileText(t *testing.T) {
	for _, text := range hostile() {
		for _, mode := range []Mode{Plain, Quiet, JSON, Live} {
			for _, colors := range []ui.Colors{false, true} {
				c := Config{Mode: mode, Verbose: true, Artifacts: func() []Artifact { return []Artifact{{Name: text, Path: text}} }}
				got := shownBy(t, c, colors, sized(24, 20), allWith(text))
				harmless(t, got, bool(colors))
				if mode != Live {
					noCommand(t, got)
				}
				if mode == JSON {
					isJSON(t, got)
				}
			}
		}
	}
}

// Lines that a job prints stand behind the mark, so that none passes for one of ours.
func TestNoLineOfAJobPassesForOurs(t *testing.T) {
	for _, text := range []string{"✓ success 1.0s", "] ✓ success", "x\r[build] ✓ success", "x\n[build] ✓ success"} {
		r := (&recording{}).run("ci")
		r.job("build", "build")
		r.begins("build", "s", "Run")
		r.line("build", "s", text)
		r.group("build", "s", text)
		r.line("build", "s", text)
		got := shownBy(t, Config{Mode: Plain}, false, sized(0, 0), r.events)
		lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
		for _, line := range lines[2:] {
			if !strings.HasPrefix(line, "[build] │ ") {
				t.Errorf("%q became\n%s", text, got)
			}
		}
	}
}

// A reader of JSON lines gets every text as it was.
func TestJSONKeepsText(t *testing.T) {
	for _, text := range hostile() {
		r := (&recording{}).run("ci")
		r.line("a", "s", text)
		var back strings.Builder
		for _, l := range isJSON(t, shownBy(t, Config{Mode: JSON}, false, sized(0, 0), r.events)) {
			if l["type"] == "log" {
				back.WriteString(l["data"].(string))
			}
		}
		if back.String() != text {
			t.Errorf("%q became %q", text, back.String())
		}
	}
}

// isJSON returns the lines of a text as objects; each has a time and a type, and fits
// into the buffer of a reader.
func isJSON(t testing.TB, text string) (list []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if m["time"] == nil || m["type"] == nil {
			t.Fatalf("no time or no type in %q", line)
		}
		list = append(list, m)
	}
	return list
}

// Any events with any text: nothing but our own sequences comes out, and none at all
// where there is no colour.
func FuzzViews(f *testing.F) {
	for i, text := range hostile() {
		f.Add([]byte{byte(i), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, text, text)
	}
	f.Fuzz(func(t *testing.T, script []byte, one, two string) {
		one, two = strings.ToValidUTF8(one, "\ufffd"), strings.ToValidUTF8(two, "\ufffd")
		events := played(script, one, two)
		for _, c := range []Config{{Mode: Plain}, {Mode: Plain, Verbose: true}, {Mode: Quiet}, {Mode: JSON}} {
			got := shownBy(t, c, false, sized(24, 20), events)
			if strings.ContainsRune(got, 0x1b) {
				t.Fatalf("an escape in %q", got)
			}
			harmless(t, got, false)
			noCommand(t, got)
			if c.Mode == JSON {
				isJSON(t, got)
			}
		}
		harmless(t, shownBy(t, Config{Mode: Plain, Verbose: true}, true, sized(24, 20), events), true)
		s := newScreen(t, 24, 20) // fails at a sequence that is not ours
		v := newTerminal(s, Config{Mode: Live, Verbose: true}, false, newTally(), s.size)
		for _, e := range events {
			v.event(e)
			v.area.Draw(v.status(24, 20))
		}
		v.end()
		harmless(t, s.text(), false)
	})
}

// played makes events of bytes, in any order: a view has to take what comes.
func played(script []byte, one, two string) []run.Event {
	r := (&recording{}).run(one)
	all := append(append(allWith(one), allWith(two)...), append(oneJob(), manyJobs()...)...)
	for i, b := range script[:min(len(script), 64)] {
		e := all[(int(b)+i*7)%len(all)]
		if b%3 == 0 {
			e.Job = two
		}
		if b%5 == 0 && e.Step != nil {
			s := *e.Step
			s.Step = one
			e.Step = &s
		}
		r.events = append(r.events, e)
	}
	r.runEnds(two, plan.Failure)
	return r.events
}
