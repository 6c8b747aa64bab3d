// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"fmt"
	"slices"
	"strings"
)

// head is the comment of files that we write; gh actions-lock may update them too.
const head = "# This file is machine-generated in the format of `gh actions-lock`.\n# Do not edit by hand.\n"

// Format is the text of the file, the same for the same content: what gh actions-lock
// writes, but for the comment at its head. Texts are in quotes, so that YAML makes no
// number of a tag.
func (f *File) Format() string {
	var b strings.Builder
	b.WriteString(head + "version: " + quote(Version) + "\n")
	list := func(indent string, keys []string) {
		for _, k := range slices.Sorted(slices.Values(keys)) {
			b.WriteString(indent + "- " + quote(k) + "\n")
		}
	}
	if len(f.Workflows) > 0 {
		b.WriteString("workflows:\n")
	}
	for _, w := range f.Workflows {
		b.WriteString("    " + quote(w.Path) + ":")
		if len(w.Pins) == 0 {
			b.WriteString(" []")
		}
		b.WriteString("\n")
		list("        ", w.Pins)
	}
	if len(f.Pins) > 0 {
		b.WriteString("dependencies:\n")
	}
	for _, p := range f.Pins {
		fmt.Fprintf(&b, "    %s:\n        ref: %s\n        commit: %s\n        owner_id: %d\n        repo_id: %d\n",
			quote(p.Key), quote(p.Ref), quote(algorithm(p.Commit)+"-"+p.Commit), p.OwnerID, p.RepoID)
		if len(p.Uses) > 0 {
			b.WriteString("        uses:\n")
			list("            ", p.Uses)
		}
	}
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// algorithm is the hash of a commit, by its length in hex digits.
func algorithm(commit string) string {
	if len(commit) == 64 {
		return "sha256"
	}
	return "sha1"
}

// Lock is the file with a workflow at other pins: direct are the keys of the actions that
// it uses itself, pins these and all that they use. What no workflow needs any more is
// left out. Keys are as action.Uses.Pin has them. The error says what is wrong with the
// pins.
func (f *File) Lock(workflow string, direct []string, pins []Pin) (*File, error) {
	n := f.without(workflow)
	n.Workflows = append(n.Workflows, Workflow{Path: workflow, Pins: direct})
	slices.SortFunc(n.Workflows, func(a, b Workflow) int { return strings.Compare(a.Path, b.Path) })
	for _, p := range pins {
		n.Pins = slices.DeleteFunc(n.Pins, func(o Pin) bool { return o.Key == p.Key })
		n.Pins = append(n.Pins, p)
	}
	slices.SortFunc(n.Pins, func(a, b Pin) int { return strings.Compare(a.Key, b.Key) })
	n.prune()
	for key := range n.reachable(direct) {
		if _, ok := n.pin(key); !ok {
			return nil, fmt.Errorf("lock %s: there is no pin for %q", workflow, key)
		}
	}
	text := n.Format()
	read, errs := Parse(f.Name, text)
	if len(errs) > 0 {
		return nil, fmt.Errorf("lock %s: %w", workflow, errs[0])
	}
	if read.Format() != text {
		return nil, fmt.Errorf("lock %s: a name or a ref cannot be written as text", workflow)
	}
	return read, nil
}

// Remove is the file without a workflow, and without what only it needed.
func (f *File) Remove(workflow string) *File {
	n := f.without(workflow)
	n.prune()
	return n
}

func (f *File) without(workflow string) *File {
	return &File{
		Name:      f.Name,
		Workflows: slices.DeleteFunc(slices.Clone(f.Workflows), func(w Workflow) bool { return w.Path == workflow }),
		Pins:      slices.Clone(f.Pins),
	}
}

// prune leaves out pins that no workflow needs.
func (f *File) prune() {
	var all []string
	for _, w := range f.Workflows {
		all = append(all, w.Pins...)
	}
	needed := f.reachable(all)
	f.Pins = slices.DeleteFunc(f.Pins, func(p Pin) bool { return !needed[p.Key] })
}
