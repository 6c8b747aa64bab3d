// SPDX-License-Identifier: Apache-2.0

package job

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/workflows/command"
)

const (
	largestFile    = 16 << 20 // bytes of a file of commands; GitHub reads any size
	largestSummary = 1 << 20
)

// commandFiles are the files that a step may write to.
type commandFiles struct{ env, path, output, state, summary string }

// facts are their members of the github context.
func (f commandFiles) facts() []Variable {
	return []Variable{{"env", f.env}, {"path", f.path}, {"output", f.output}, {"state", f.state}, {"step_summary", f.summary}}
}

// nameFiles are the names of a step's files. They are known before the files are made:
// expressions of the step may name them.
func nameFiles() commandFiles {
	id := unique()
	return commandFiles{
		env: path.Join(commandsDir, "set_env_"+id), path: path.Join(commandsDir, "add_path_"+id), output: path.Join(commandsDir, "set_output_"+id),
		state: path.Join(commandsDir, "save_state_"+id), summary: path.Join(commandsDir, "step_summary_"+id),
	}
}

// openFiles makes fresh files.
func (st *stepRun) openFiles() error {
	f := st.files
	for _, name := range []string{f.env, f.path, f.output, f.state, f.summary} {
		if err := st.r.q.Cell.WriteFile(name, nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readFiles does what the step wrote, also if it failed.
func (st *stepRun) readFiles() {
	f := st.files
	st.pairs("env", f.env, st.setVariable)
	if text, ok := st.readFile("path", f.path); ok {
		for _, dir := range command.ParsePaths(text) {
			if err := st.r.keep(Variable{Value: dir}); err != nil {
				st.badFile("path", err)
				break
			}
			st.mu.Lock()
			st.effects.path = append(st.effects.path, dir)
			st.mu.Unlock()
		}
	}
	st.pairs("output", f.output, func(p command.Pair) error {
		if p.Name == "" {
			return says("Required field 'name' is missing in ##[set-output] command.")
		}
		st.mu.Lock()
		defer st.mu.Unlock()
		st.effects.outputs = append(st.effects.outputs, Variable(p))
		return nil
	})
	st.pairs("state", f.state, func(p command.Pair) error {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.effects.state = append(st.effects.state, Variable(p))
		return nil
	})
	st.summarise(f.summary)
}

// setVariable sets a variable of the steps to come, unless it would make their
// programs load what the step says.
func (st *stepRun) setVariable(p command.Pair) error {
	if p.Name == "" {
		return says("Required field 'name' is missing in ##[set-env] command.")
	}
	if reason := refused(p.Name); reason != "" {
		st.r.annotate(st.id, "error", reason)
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.effects.env = append(st.effects.env, Variable(p))
	return nil
}

// refused says why a step may not set a variable for later ones; empty if it may.
// LD_LIBRARY_PATH is set by setup-python, among others.
func refused(name string) string {
	upper := strings.ToUpper(name)
	if upper == "NODE_OPTIONS" {
		return "Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command."
	}
	why := ""
	switch {
	case name == "LD_LIBRARY_PATH" || name == "LD_RUN_PATH":
	case strings.HasPrefix(name, "LD_"), name == "GLIBC_TUNABLES", name == "GCONV_PATH", name == "LOCPATH":
		why = "the dynamic loader of every program obeys it"
	case name == "BASH_ENV", name == "ENV", strings.HasPrefix(name, "BASH_FUNC_"), name == "SHELLOPTS", name == "BASHOPTS":
		why = "every shell that starts later runs it"
	case name == "PERL5OPT", name == "PERL5DB":
		why = "every perl that starts later runs it"
	}
	if why == "" {
		return ""
	}
	return fmt.Sprintf("Can't set %s using '$GITHUB_ENV' command: %s. Set it in `env:` of the steps that need it.", name, why)
}

// pairs reads a file of names and values. The pairs before an error count.
func (st *stepRun) pairs(what, name string, do func(command.Pair) error) {
	text, ok := st.readFile(what, name)
	if !ok {
		return
	}
	pairs, err := command.ParseValues(text)
	for _, p := range pairs {
		e := st.r.keep(Variable(p))
		if e == nil {
			e = do(p)
		}
		if e != nil {
			err = e
			break
		}
	}
	if err != nil {
		st.badFile(what, err)
	}
}

// badFile fails the step.
func (st *stepRun) badFile(what string, err error) {
	st.fail("Unable to process file command '%s' successfully.", what)
	st.fail("%v", err)
	st.mu.Lock()
	st.failed = true
	st.mu.Unlock()
}

// readFile reads a file of commands. One that is not there says nothing.
func (st *stepRun) readFile(what, name string) (string, bool) {
	data, err := st.r.q.Cell.ReadFile(name, largestFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false
	case errors.Is(err, executor.ErrTooLarge):
		st.badFile(what, fmt.Errorf("the file is larger than %d MiB", largestFile>>20))
		return "", false
	case err != nil:
		st.badFile(what, err)
		return "", false
	}
	return strings.ToValidUTF8(string(data), "\ufffd"), true
}

// summarise hands out the step's summary.
func (st *stepRun) summarise(name string) {
	data, err := st.r.q.Cell.ReadFile(name, largestSummary)
	switch {
	case errors.Is(err, executor.ErrTooLarge):
		size := int64(0)
		if i, err := fs.Stat(st.r.q.Cell.Work(), strings.TrimPrefix(name, executor.RunnerWork+"/")); err == nil {
			size = i.Size()
		}
		st.fail("$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of %dk, got %dk.", largestSummary>>10, size>>10)
	case err == nil && len(data) > 0:
		var b strings.Builder
		for line := range strings.Lines(strings.ToValidUTF8(string(data), "\ufffd")) {
			b.WriteString(st.r.text(line))
		}
		st.r.emit(Event{Kind: Summary, Step: st.id, Text: b.String()})
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		st.badFile("step_summary", err)
	}
}
