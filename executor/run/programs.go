// SPDX-License-Identifier: Apache-2.0

package run

import (
	"path"
	"slices"
	"strings"
)

// builtins are the words of bash that start no program (bash(1), "SHELL BUILTIN COMMANDS").
const builtins = `. : [ alias bg bind break builtin caller cd command compgen complete compopt continue
	declare dirs disown echo enable eval exec exit export false fc fg getopts hash help history jobs kill let
	local logout mapfile popd printf pushd pwd read readarray readonly return set shift shopt source suspend
	test times trap true type typeset ulimit umask unalias unset wait`

// ProgramsOf are the programs that a shell script starts by a name that is looked up in
// PATH, sorted, and what it installs itself as far as its words say so: of "npm install -g
// tsx" and "pip install x" the last ones. Neither what a program starts nor a name that is
// known only when the script runs is among them. Both are empty if it is no shell script.
func ProgramsOf(script string) (programs, installs []string) {
	commands, functions := commandsOf(script)
	inside := append(strings.Fields(builtins), functions...)
	for _, words := range commands {
		if i := slices.IndexFunc(words, isInstall); i > 0 {
			for _, w := range words[i+1:] {
				if name := installed(w); name != "" {
					installs = append(installs, name)
				}
			}
		}
		if len(words) > 1 && words[0] == "command" && strings.HasPrefix(words[1], "-") {
			continue // it asks whether there is one
		}
		name := started(words)
		if name == "" || strings.Contains(name, "/") || strings.Contains(name, expressionWord) || slices.Contains(inside, name) {
			continue
		}
		programs = append(programs, name)
	}
	slices.Sort(programs)
	slices.Sort(installs)
	return slices.Compact(programs), slices.Compact(installs)
}

func isInstall(word string) bool {
	return slices.Contains([]string{"install", "add", "i", "global"}, word)
}

// installed is the name that a word of an install command probably has as a program:
// golangci-lint of example.com/cmd/golangci-lint@v1.
func installed(word string) string {
	if strings.HasPrefix(word, "-") || strings.Contains(word, expressionWord) {
		return ""
	}
	if at := strings.LastIndexByte(word, '@'); at > 0 {
		word = word[:at]
	}
	word, _, _ = strings.Cut(word, "=")
	return path.Base(path.Clean("/" + word))
}
