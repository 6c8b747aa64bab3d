// SPDX-License-Identifier: Apache-2.0

package job

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/mask"
	"github.com/zviz/run/workflows/command"
)

const (
	mostAnnotations = 10 // of a kind and step
	longestMessage  = 4096
	largestMatcher  = 1 << 20
	shortestToken   = 6 // of stop-commands; a longer one is masked
)

// output is where one stream of the step's process goes.
func (st *stepRun) output(stream string) *output {
	so := &command.Lines{}
	return &output{
		masks:   st.r.masks,
		line:    func(text string) { st.line(stream, text, so) },
		command: func(text string) bool { return st.longCommand(stream, text) },
		part:    func(text string) { st.r.emit(Event{Kind: Line, Step: st.id, Stream: stream, Text: text}) },
	}
}

// line takes a line of the step's output.
func (st *stepRun) line(stream, text string, so *command.Lines) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.done && (strings.Contains(text, "::") || strings.Contains(text, "##[")) && st.command(stream, text) {
		return
	}
	if !st.done {
		if a, ok := st.r.match(text, so); ok {
			st.found(a)
		}
	}
	st.say(stream, text)
}

// longCommand does what a long line says, if it is a command.
func (st *stepRun) longCommand(stream, text string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return !st.done && st.command(stream, text)
}

func (st *stepRun) say(stream, text string) {
	st.r.lines(st.id, stream, st.r.text(text))
}

// lines hands out a masked line, a long one in parts.
func (r *runner) lines(step, stream, text string) {
	for len(text) > longestLine {
		r.emit(Event{Kind: Line, Step: step, Stream: stream, Text: strings.ToValidUTF8(text[:longestLine], "")})
		text = text[longestLine:]
	}
	r.emit(Event{Kind: Line, Step: step, Stream: stream, Text: strings.ToValidUTF8(text, "")})
}

// short masks a text and cuts it then: half a secret would not be known for one.
func (r *runner) short(text string, most int) string {
	if text = r.text(text); len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// command does what a line says, if it is a command. The caller holds the mutex.
func (st *stepRun) command(stream, text string) bool {
	if st.stop != "" {
		if !command.Ends(text, st.stop) {
			return false
		}
		st.stop = ""
		return true
	}
	c, ok := command.Parse(text)
	if !ok {
		return false
	}
	echo := st.echo && !c.Is("add-mask")
	if err := st.do(c); err != nil {
		st.fail("%v", err)
		st.fail("Unable to process command '%s' successfully.", st.told(c, text))
		st.failed = true
	}
	switch strings.ToLower(c.Name) {
	case "debug", "notice", "warning", "error", "group", "endgroup":
		echo = false // they are seen as they are
	}
	if echo {
		st.say(stream, text)
	}
	return true
}

// told is a command in a message.
func (st *stepRun) told(c command.Command, text string) string {
	if c.Is("add-mask") {
		return "::add-mask::***" // what it names is a secret all the same
	}
	return strings.ReplaceAll(st.r.short(text, longestMessage), "\n", " ")
}

// do does a command.
func (st *stepRun) do(c command.Command) error {
	r := st.r
	name := property(c, "name")
	switch strings.ToLower(c.Name) {
	case "debug":
		if r.q.Runner.Debug {
			st.say(Debug, c.Data)
		}
	case "notice", "warning", "error":
		st.annotation(c)
	case "group":
		r.emit(Event{Kind: GroupStarted, Step: st.id, Text: r.short(c.Data, longestLine)})
	case "endgroup":
		r.emit(Event{Kind: GroupEnded, Step: st.id})
	case "add-mask":
		if strings.TrimSpace(c.Data) == "" {
			st.annotateLocked("warning", "Can't add secret mask for empty string in ##[add-mask] command.")
			return nil
		}
		if len(c.Data) < mask.Shortest {
			st.annotateLocked("warning", fmt.Sprintf("A mask of fewer than %d bytes is not hidden.", mask.Shortest))
			return nil
		}
		if !r.masks.addOf(c.Data) {
			return fmt.Errorf("too many masks: a job may add %d of together %d KiB; what this one names is not hidden", mostMasks, largestMasks>>10)
		}
		r.q.Cell.Hide(c.Data)
	case "echo":
		switch strings.ToLower(strings.TrimSpace(c.Data)) {
		case "on":
			st.echo = true
		case "off":
			st.echo = false
		default:
			return says("Invalid echo command value. Possible values can be: 'on', 'off'. Current value is: '%s'.", c.Data)
		}
	case "stop-commands":
		return st.stopCommands(c.Data)
	case "set-output", "save-state":
		if name == "" {
			return says("Required field 'name' is missing in ##[%s] command.", strings.ToLower(c.Name))
		}
		if err := r.keep(Variable{name, c.Data}); err != nil {
			return err
		}
		if c.Is("set-output") {
			st.effects.outputs = append(st.effects.outputs, Variable{name, c.Data})
		} else {
			st.effects.state = append(st.effects.state, Variable{name, c.Data})
		}
	case "set-env", "add-path":
		return st.unsecure(c, name)
	case "add-matcher":
		return st.addMatcher(c.Data)
	case "remove-matcher":
		return st.removeMatcher(c)
	}
	return nil
}

// property returns a property without regard to case.
func property(c command.Command, name string) string {
	for k, v := range c.Properties {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// stopCommands makes everything up to a word plain text.
func (st *stepRun) stopCommands(token string) error {
	known := slices.ContainsFunc(command.Names(), func(n string) bool { return strings.EqualFold(n, token) })
	if token == "" || known || strings.EqualFold(token, "pause-logging") {
		return says("Invalid stop-commands token. The token '%s' must not be empty, the name of a command or 'pause-logging'.", token)
	}
	st.stop = token
	if len(token) > shortestToken {
		st.r.masks.addOf(token)
	}
	return nil
}

// unsecure does the two commands that any text in a log could give.
func (st *stepRun) unsecure(c command.Command, name string) error {
	allowed := "ACTIONS_ALLOW_UNSECURE_COMMANDS"
	value, _ := st.r.globals(st.sc).with(st.own).get(allowed)
	if !strings.EqualFold(value, "true") {
		return says("The `%s` command is disabled. Please upgrade to using Environment Files or opt into unsecure command execution by setting the `%s` environment variable to `true`. For more information see: https://github.blog/changelog/2020-10-01-github-actions-deprecating-set-env-and-add-path-commands/", strings.ToLower(c.Name), allowed)
	}
	if c.Is("add-path") {
		st.effects.path = append(st.effects.path, c.Data)
		return nil
	}
	if reason := refused(name); reason != "" {
		st.annotateLocked("error", reason)
		return nil
	}
	st.effects.env = append(st.effects.env, Variable{name, c.Data})
	return nil
}

// annotateLocked hands out an annotation in our words.
func (st *stepRun) annotateLocked(level, text string) { st.r.annotate(st.id, level, text) }

// annotation hands out an annotation of the step's.
func (st *stepRun) annotation(c command.Command) {
	number := func(name string) int {
		n, err := strconv.Atoi(property(c, name))
		if err != nil || n < 0 || n > math.MaxInt32 {
			return 0
		}
		return n
	}
	a := Annotation{
		Level: strings.ToLower(c.Name), Message: c.Data, Title: property(c, "title"), File: st.r.relative(property(c, "file")),
		Line: number("line"), EndLine: number("endLine"), Column: number("col"), EndColumn: number("endColumn"),
	}
	if a.Column == 0 {
		a.Column = number("column")
	}
	// A range that is none is dropped.
	if a.Line == 0 || a.EndLine != 0 && a.EndLine < a.Line {
		a.EndLine = 0
	}
	if a.Column == 0 || a.EndLine != 0 && a.EndLine != a.Line || a.EndColumn != 0 && a.EndColumn < a.Column {
		a.EndColumn = 0
	}
	st.hand(a)
}

// hand hands out an annotation if the step has not too many; the line is seen all
// the same.
func (st *stepRun) hand(a Annotation) {
	r := st.r
	if st.counts[a.Level]++; st.counts[a.Level] > mostAnnotations {
		st.say(Stdout, strings.ToUpper(a.Level[:1])+a.Level[1:]+": "+a.Message)
		return
	}
	for _, s := range []*string{&a.Message, &a.Title, &a.File, &a.Code} {
		*s = r.short(*s, longestMessage)
	}
	r.emit(Event{Kind: Annotated, Step: st.id, Annotation: &a})
}

// relative makes the path of a file relative to the workspace.
func (r *runner) relative(file string) string {
	if rel, ok := strings.CutPrefix(path.Clean(file), r.workspace+"/"); ok && file != "" {
		return rel
	}
	return file
}

// match gives a line to the problem matchers.
func (r *runner) match(text string, so *command.Lines) (command.Annotation, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.matchers.Match(text, so)
}

// found hands out what a problem matcher found. A file that is not in the workspace
// is left out.
func (st *stepRun) found(a command.Annotation) {
	file := a.File
	if file != "" && a.FromPath != "" && !path.IsAbs(file) {
		file = path.Join(path.Dir(a.FromPath), file)
	}
	if file != "" {
		file = st.r.relative(st.r.workingDir(file))
		if i, err := fs.Stat(st.r.q.Cell.Work(), path.Join(st.r.repo, st.r.repo, file)); path.IsAbs(file) || err != nil || !i.Mode().IsRegular() {
			file = ""
		}
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	st.hand(Annotation{Level: a.Severity, Message: a.Message, File: file, Line: number(a.Line), Column: number(a.Column), Code: a.Code})
}

// matcherFile reads a file of problem matchers: of the workspace, or of an action.
func (st *stepRun) matcherFile(name string) ([]byte, error) {
	if name == "" {
		return nil, says("A file path must be specified.")
	}
	full := st.r.workingDir(name)
	for _, a := range []*Action{st.action.Load(), st.sc.action} {
		if a == nil || a.Files == nil {
			continue
		}
		if rel, ok := strings.CutPrefix(full, a.root()+"/"); ok {
			return readSmall(a.Files, rel)
		}
	}
	if !strings.HasPrefix(full, executor.RunnerWork+"/") {
		return nil, says("File not found '%s': a problem matcher lies in the workspace or in its action", name)
	}
	return st.r.q.Cell.ReadFile(full, largestMatcher)
}

func readSmall(files fs.FS, name string) ([]byte, error) {
	i, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	if !i.Mode().IsRegular() || i.Size() > largestMatcher {
		return nil, fmt.Errorf("%s: not a small file", name)
	}
	return fs.ReadFile(files, name)
}

func (st *stepRun) addMatcher(name string) error {
	data, err := st.matcherFile(name)
	if err != nil {
		return err
	}
	st.r.mu.Lock()
	err = st.r.matchers.Add(data)
	st.r.mu.Unlock()
	if e, ok := errors.AsType[*command.MatcherError](err); ok && e.Unsupported {
		st.annotateLocked("warning", "It finds nothing here: "+e.Error())
		return nil
	}
	return err
}

func (st *stepRun) removeMatcher(c command.Command) error {
	owner := property(c, "owner")
	if owner == "" && c.Data == "" {
		return says("Either the owner or a file path must be specified")
	}
	owners := []string{owner}
	if owner == "" {
		data, err := st.matcherFile(c.Data)
		if err != nil {
			return err
		}
		var m command.Matchers
		if err := m.Add(data); err != nil {
			return err
		}
		owners = m.Owners()
	}
	st.r.mu.Lock()
	defer st.r.mu.Unlock()
	for _, o := range owners {
		st.r.matchers.Remove(o)
	}
	return nil
}
