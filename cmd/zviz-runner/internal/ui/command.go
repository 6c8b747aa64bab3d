// SPDX-License-Identifier: Apache-2.0

package ui

import "strings"

// NoCommand makes a clean line one in which no CI system that shows our output finds a
// command of its own: what a job in here prints must not set an output of the step out
// there that we run in. GitHub, Gitea and Forgejo take "::name::" at the beginning of a
// line, GitHub "##[name]" anywhere in it, Azure and TeamCity "##vso[" and "##teamcity[".
func NoCommand(line string) string {
	if text := strings.TrimLeft(line, " \t"); strings.HasPrefix(text, "::") {
		line = line[:len(line)-len(text)] + ": :" + text[2:]
	}
	return breakHashes(line, "# #")
}

// breakHashes replaces "##" where a command would begin.
func breakHashes(s, by string) string {
	if !strings.Contains(s, "##") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if strings.HasPrefix(s[i:], "##") {
			rest := strings.TrimLeft(s[i+2:], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
			if strings.HasPrefix(rest, "[") {
				b.WriteString(by)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
		i++
	}
	return b.String()
}
