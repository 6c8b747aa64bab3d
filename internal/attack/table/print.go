// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/zviz/run/internal/attack"
)

// classes are the rows of the table, in order.
func classes() []string {
	return []string{"namespace", "capability", "seccomp", "filesystem", "network", "process", "resource", "workspace", "protocol", "needed by builds"}
}

// class is the class that an identifier belongs to.
func class(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	return map[string]string{
		"ns": "namespace", "cap": "capability", "sc": "seccomp", "fs": "filesystem", "net": "network",
		"proc": "process", "res": "resource", "ws": "workspace", "pr": "protocol", "ok": "needed by builds",
	}[prefix]
}

// untried returns the identifiers of the catalogue that have no attempt: neither
// one of that name nor parts of it (fs-01-bind). Without a catalogue there are none.
func untried(catalogue string) ([]string, error) {
	text, err := os.ReadFile(catalogue)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tried := func(id string) bool {
		for _, a := range attack.All() {
			if a.ID == id || strings.HasPrefix(a.ID, id+"-") {
				return true
			}
		}
		return false
	}
	var ids []string
	first := true
	for line := range strings.Lines(string(text)) {
		id, _, ok := strings.Cut(line, "\t")
		if ok && !first && !tried(id) {
			ids = append(ids, id)
		}
		first = false
	}
	return ids, nil
}

// printTable prints one sandbox's table, then what was not blocked, and reports
// whether nothing escaped and nothing was wrong.
func printTable(out io.Writer, b box, rows []row, verbose bool) bool {
	fmt.Fprintf(out, "%s\n\n", b.name)
	fmt.Fprintln(out, "| class | rows | blocked | escaped | wrong outcome | let through | not run |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|")
	var total [notRun + 1]int
	for _, name := range classes() {
		var n [notRun + 1]int
		sum := 0
		for _, r := range rows {
			if class(r.id) == name {
				n[r.end]++
				total[r.end]++
				sum++
			}
		}
		held := strconv.Itoa(n[blocked])
		if name == "needed by builds" {
			held = fmt.Sprintf("%d work", n[works])
		}
		if sum > 0 {
			fmt.Fprintf(out, "| %s | %d | %s | %d | %d | %d | %d |\n", name, sum, held, n[escaped], n[wrong], n[onPurpose], n[notRun])
		}
	}
	fmt.Fprintf(out, "| all | %d | %d, and %d work | %d | %d | %d | %d |\n\n",
		len(rows), total[blocked], total[works], total[escaped], total[wrong], total[onPurpose], total[notRun])

	for _, part := range []struct {
		end  end
		name string
	}{{escaped, "escaped"}, {wrong, "wrong"}, {onPurpose, "let through on purpose"}} {
		for _, r := range rows {
			if r.end == part.end {
				fmt.Fprintf(out, "%s: %s, %s: %s\n", part.name, r.id, r.what, r.why)
			}
		}
	}
	printNotRun(out, rows)
	if verbose {
		for _, r := range rows {
			fmt.Fprintf(out, "%-14s %-40s %s\n", r.id, r.why, r.what)
		}
	}
	fmt.Fprintln(out)
	return total[escaped] == 0 && total[wrong] == 0
}

// printNotRun prints each reason once, with its attempts.
func printNotRun(out io.Writer, rows []row) {
	var reasons []string
	ids := map[string][]string{}
	for _, r := range rows {
		if r.end != notRun {
			continue
		}
		if ids[r.why] == nil {
			reasons = append(reasons, r.why)
		}
		ids[r.why] = append(ids[r.why], r.id)
	}
	for _, why := range reasons {
		fmt.Fprintf(out, "not run: %s: %s\n", why, strings.Join(ids[why], " "))
	}
}
