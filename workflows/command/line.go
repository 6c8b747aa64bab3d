// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"strings"
	"unicode"
)

// Command is a command in a line of output.
type Command struct {
	Name       string            // as written; compare it without regard to case
	Properties map[string]string // decoded; never nil; no two names differ in case only
	Data       string            // decoded
}

// Is reports whether the command has a name.
func (c Command) Is(name string) bool { return strings.EqualFold(c.Name, name) }

// Names are the commands that there are.
func Names() []string {
	return []string{
		"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice",
		"remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning",
	}
}

func known(name string) bool {
	return slices.ContainsFunc(Names(), func(n string) bool { return strings.EqualFold(n, name) })
}

// The replacements of a command's text. What stands for % comes last, so that
// %250A is %0A and not a line break.
var (
	dataEscapes     = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%")                         //nolint:gochecknoglobals // a constant
	propertyEscapes = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%") //nolint:gochecknoglobals // a constant
	bracketEscapes  = strings.NewReplacer("%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%25", "%") //nolint:gochecknoglobals // a constant
)

// Parse returns the command in a line, and whether there is one. A line break at
// its end is the caller's to take off. The form "::name key=value,…::data" may have
// blanks in front of it, "##[name key=value;…]data" anything.
func Parse(line string) (Command, bool) { return parse(line, known) }

// Ends reports whether a line is the command of that name, which is the word of a command
// stop-commands: then commands count again.
func Ends(line, word string) bool {
	_, ok := parse(line, func(name string) bool { return strings.EqualFold(name, word) })
	return ok
}

func parse(line string, known func(name string) bool) (Command, bool) {
	if c, ok := colons(strings.TrimLeftFunc(line, unicode.IsSpace), known); ok {
		return c, true
	}
	return brackets(line, known)
}

func colons(line string, known func(name string) bool) (Command, bool) {
	rest, ok := strings.CutPrefix(line, "::")
	if !ok {
		return Command{}, false
	}
	head, data, ok := strings.Cut(rest, "::")
	if !ok {
		return Command{}, false
	}
	name, list, _ := strings.Cut(head, " ")
	return build(name, strings.TrimSpace(list), ",", data, propertyEscapes, dataEscapes, known)
}

func brackets(line string, known func(name string) bool) (Command, bool) {
	_, rest, ok := strings.Cut(line, "##[")
	if !ok {
		return Command{}, false
	}
	head, data, ok := strings.Cut(rest, "]")
	if !ok {
		return Command{}, false
	}
	name, list, _ := strings.Cut(head, " ")
	return build(name, list, ";", data, bracketEscapes, bracketEscapes, known)
}

// build makes a command of what it is cut into. Names of properties ignore case, and the
// last of a name counts.
func build(name, list, separator, data string, property, value *strings.Replacer, known func(name string) bool) (Command, bool) {
	if !known(name) {
		return Command{}, false
	}
	c := Command{Name: name, Properties: map[string]string{}, Data: value.Replace(data)}
	written := map[string]string{} // by the name in lower case
	for pair := range strings.SplitSeq(list, separator) {
		if k, v, ok := strings.Cut(pair, "="); ok && k != "" && v != "" {
			lower := strings.ToLower(k)
			if first, twice := written[lower]; twice {
				k = first
			}
			written[lower] = k
			c.Properties[k] = property.Replace(v)
		}
	}
	return c, true
}

// String is the command as a line that Parse reads back.
func (c Command) String() string {
	var b strings.Builder
	b.WriteString("::" + c.Name)
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	keys := make([]string, 0, len(c.Properties))
	for k := range c.Properties {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		if i == 0 {
			b.WriteByte(' ')
		} else {
			b.WriteByte(',')
		}
		b.WriteString(k + "=" + escape.Replace(c.Properties[k]))
	}
	b.WriteString("::" + strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(c.Data))
	return b.String()
}
