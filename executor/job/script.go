// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"path"
	"strings"

	"github.com/zviz/run/workflows/syntax"
)

// shell is how a script is run.
type shell struct {
	command   string
	arguments string // {0} stands for the script
	extension string
	pwsh      bool
}

// shellOf is the shell of a name; an empty one is bash if there is one, without
// pipefail.
func shellOf(name string, bash bool) (shell, error) {
	if name == "" && bash {
		return shell{command: "bash", arguments: "-e {0}", extension: ".sh"}, nil
	}
	if name == "" {
		name = "sh"
	}
	command, arguments, _ := strings.Cut(name, " ")
	sh := shell{command: command}
	switch command { // also if the arguments are the user's
	case "sh":
		sh.arguments, sh.extension = "-e {0}", ".sh"
	case "bash":
		sh.arguments, sh.extension = "--noprofile --norc -e -o pipefail {0}", ".sh"
	case "python":
		sh.arguments, sh.extension = "{0}", ".py"
	case "pwsh", "powershell":
		sh.arguments, sh.extension, sh.pwsh = `-command ". '{0}'"`, ".ps1", true
	case "cmd":
		sh.arguments, sh.extension = `/D /E:ON /V:OFF /S /C "CALL "{0}""`, ".cmd"
	}
	if arguments = strings.TrimLeft(arguments, " \t"); arguments != "" {
		sh.arguments = arguments
	}
	if !strings.Contains(sh.arguments, "{0}") {
		return shell{}, says("Invalid shell option. Shell must be a valid built-in (bash, sh, cmd, powershell, pwsh) or a format string containing '{0}'")
	}
	return sh, nil
}

// splitArguments cuts a command line into arguments as .NET does: blanks between
// them, double quotes around what holds blanks, and a backslash before a quote that
// is meant as one.
func splitArguments(s string) []string {
	var out []string
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			i++
			continue
		}
		var arg strings.Builder
		quoted := false
		for i < len(s) {
			switch c := s[i]; {
			case c == '\\':
				n := 0
				for i < len(s) && s[i] == '\\' {
					n++
					i++
				}
				if i == len(s) || s[i] != '"' {
					arg.WriteString(strings.Repeat(`\`, n))
					continue
				}
				arg.WriteString(strings.Repeat(`\`, n/2))
				if n%2 == 1 {
					arg.WriteByte('"')
					i++
				}
				continue
			case c == '"':
				if quoted && i+1 < len(s) && s[i+1] == '"' {
					arg.WriteByte('"')
					i += 2
					continue
				}
				quoted = !quoted
				i++
				continue
			case (c == ' ' || c == '\t') && !quoted:
			default:
				arg.WriteByte(c)
				i++
				continue
			}
			break
		}
		out = append(out, arg.String())
	}
	return out
}

// script runs a run step.
func (st *stepRun) script(ctx context.Context) Conclusion {
	r := st.r
	v := st.view()
	text, err := r.evalString(st.s.Run, v)
	if err != nil {
		st.fail("The template is not valid. run: %v", err)
		return Failure
	}
	name, err := st.setting(st.s.Shell, st.sc.shell)
	if err != nil {
		st.fail("The template is not valid. shell: %v", err)
		return Failure
	}
	dir, err := st.setting(st.s.Dir, st.sc.dir)
	if err != nil {
		st.fail("The template is not valid. working-directory: %v", err)
		return Failure
	}
	sh, err := shellOf(name, r.lookPath(v.env, "bash") != "")
	if err != nil {
		st.fail("%v", err)
		return Failure
	}
	program := sh.command
	if found := r.lookPath(v.env, sh.command); found != "" && !strings.Contains(sh.command, "/") {
		program = found
	}
	file := path.Join(tempDir, unique()+sh.extension)
	body := text
	if sh.pwsh {
		body = "$ErrorActionPreference = 'stop'\n" + text + "\nif ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }"
	}
	if err := r.q.Cell.WriteFile(file, []byte(body), 0o644); err != nil {
		st.fail("Could not write the script: %v", err)
		return Failure
	}
	arguments := strings.ReplaceAll(sh.arguments, "{0}", file)
	st.show(text, program+" "+sh.arguments)
	return st.process(ctx, process{
		args: append([]string{program}, splitArguments(arguments)...),
		dir:  r.workingDir(dir), shell: sh.command,
	})
}

// setting evaluates a key of a step, or takes the job's default.
func (st *stepRun) setting(t *syntax.Token, byDefault string) (string, error) {
	value, err := st.r.evalString(t, st.view())
	if err != nil || value != "" {
		return value, err
	}
	return byDefault, nil
}

// show prints what is run, as the head of the step's log.
func (st *stepRun) show(text, command string) {
	r := st.r
	r.emit(Event{Kind: GroupStarted, Step: st.id, Text: r.text(st.name)})
	say := func(s string) {
		for line := range strings.SplitSeq(r.text(s), "\n") {
			r.lines(st.id, Info, line)
		}
	}
	if text != "" {
		say(strings.TrimRight(text, "\n"))
	}
	say("shell: " + command)
	env := st.view().env
	if len(env.names) > 0 {
		say("env:")
		for _, v := range env.list() {
			say("  " + v.Name + ": " + v.Value)
		}
	}
	r.emit(Event{Kind: GroupEnded, Step: st.id})
}

// workingDir is where a step runs.
func (r *runner) workingDir(dir string) string {
	if path.IsAbs(dir) {
		return path.Clean(dir)
	}
	return path.Join(r.workspace, dir)
}

// lookPath finds a program in the PATH of an environment; empty if it is not there
// or where only the job can see it.
func (r *runner) lookPath(env environment, name string) string {
	r.mu.Lock()
	first := append([]string(nil), r.path...)
	r.mu.Unlock()
	if own, ok := env.get("PATH"); ok {
		first = append(first, strings.Split(own, ":")...)
	}
	return r.q.Cell.LookPath(name, first)
}
