// SPDX-License-Identifier: Apache-2.0

package run

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/plan"
	wfsyntax "github.com/zviz/run/workflows/syntax"
)

// stepPolicies gives each run step of a job the presets of the tools that its script
// starts, as exec does with its command, and more rules. What a script starts by way of
// another script, or of make, is not known.
func stepPolicies(j *plan.Job, more []egress.Rule) []egress.StepPolicy {
	var out []egress.StepPolicy
	var add func(list []*workflows.Step)
	add = func(list []*workflows.Step) {
		for _, s := range list {
			add(s.Parallel)
			if s.Kind != workflows.RunStep || s.Run == nil {
				continue
			}
			if presets := ToolsOf(Template(s.Run)); len(presets) > 0 {
				out = append(out, egress.StepPolicy{Match: "id=" + s.ID, Presets: presets, Rules: more, Origin: "the tools that the step starts"})
			}
		}
	}
	add(j.Steps)
	return out
}

// Template is a text of a workflow as it was written, with "${{ … }}" where it has an
// expression: the reader makes one expression of all, format('…{0}…', …).
func Template(t *wfsyntax.Token) string {
	if t.Kind != wfsyntax.Expression {
		return t.String()
	}
	text, ok := strings.CutPrefix(t.Text, "format('")
	if !ok {
		return "${{ … }}"
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch c := text[i]; {
		case c == '\'' && next != '\'':
			return b.String()
		case (c == '\'' || c == '{' || c == '}') && next == c:
			b.WriteByte(c)
			i++
		case c == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return b.String()
			}
			b.WriteString("${{ … }}")
			i += end
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// expressionWord is what ${{ … }} becomes in a script: a word, which no script has.
const expressionWord = "zviz-expression"

// ToolsOf are the presets of the tools that a shell script starts; none if it is no
// shell script.
func ToolsOf(script string) []string {
	var out []string
	commands, _ := commandsOf(script)
	for _, words := range commands {
		if preset, ok := egress.PresetOf(started(words)); ok && !slices.Contains(out, preset) {
			out = append(out, preset)
		}
	}
	slices.Sort(out)
	return out
}

// commandsOf are the simple commands of a shell script, and the functions that it defines.
// A word that is not literal is empty.
func commandsOf(script string) (commands [][]string, functions []string) {
	script = regexp.MustCompile(`\$\{\{[^}]*\}\}`).ReplaceAllString(script, expressionWord)
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, nil
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.FuncDecl:
			if n.Name != nil { // "() { … }" has none
				functions = append(functions, n.Name.Value)
			}
		case *syntax.CallExpr:
			var words []string
			for _, a := range n.Args {
				words = append(words, a.Lit())
			}
			commands = append(commands, words)
		}
		return true
	})
	return commands, functions
}

// before are commands that start another one.
func before() []string {
	return []string{"sudo", "env", "time", "nice", "nohup", "exec", "command", "xargs", "timeout", "stdbuf", "retry"}
}

// started is the program that a simple command is about: behind those that start another
// one it is the first word that is no option, no variable and no number.
func started(words []string) string {
	for len(words) > 0 {
		base := words[0][strings.LastIndexByte(words[0], '/')+1:]
		if strings.HasPrefix(base, "python") && len(words) > 2 && words[1] == "-m" {
			return words[2]
		}
		if !slices.Contains(before(), base) {
			return words[0]
		}
		words = words[1:]
		for len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=") || strings.Trim(words[0], "0123456789.smhd") == "") {
			words = words[1:]
		}
	}
	return ""
}
