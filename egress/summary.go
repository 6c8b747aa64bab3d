// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Summary is one row of the table of hosts.
type Summary struct {
	Host    string  `json:"host"` // an address if no name was given
	Port    uint16  `json:"port,omitempty"`
	Door    Door    `json:"door"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"`
	Count   int     `json:"count"`
	Up      int64   `json:"up"`
	Down    int64   `json:"down"`
	First   Process `json:"first,omitzero"` // who asked first
	// Steps and Wanted say which steps, and which packages' scripts, asked: the first
	// few of each.
	Steps  []string `json:"steps,omitempty"`
	Wanted []Wanted `json:"wanted,omitempty"`
	// Packages are the first few that a rule about packages refused, "left" or "left@1.1.0",
	// or the newest versions of those that it hid.
	Packages []string `json:"packages,omitempty"`
	Fix      string   `json:"fix,omitempty"` // the flag that would allow it
	// Expected refusals are apart: they are known, and quiet.
	Expected bool `json:"expected,omitempty"`
}

// Wanted is a package whose process asked for a host.
type Wanted struct {
	Package
	Count int `json:"count"`
}

// wantedMost bounds the scripts, steps and packages that a row names.
const wantedMost = 8

// add counts an event in.
func (s *Summary) add(e Event) {
	n := max(e.Count, 1)
	s.Count += n
	s.Up += e.Up
	s.Down += e.Down
	if s.First.PID == 0 {
		s.First = e.Process
	}
	if e.Step != "" && len(s.Steps) < wantedMost && !slices.Contains(s.Steps, e.Step) {
		s.Steps = append(s.Steps, e.Step)
	}
	if p := e.withheld(); p != "" && len(s.Packages) < wantedMost && !slices.Contains(s.Packages, p) {
		s.Packages = append(s.Packages, p)
	}
	if e.PkgBy == "" && e.Script == "" { // nobody says for which package it works
		return
	}
	i := slices.IndexFunc(s.Wanted, func(w Wanted) bool { return w.Package == e.Package })
	switch {
	case i >= 0:
		s.Wanted[i].Count += n
	case len(s.Wanted) < wantedMost:
		s.Wanted = append(s.Wanted, Wanted{e.Package, n})
	}
}

// Summarize folds events into rows, denied ones first, then by count.
func Summarize(events []Event) []Summary {
	type key struct {
		host    string
		port    uint16
		door    Door
		verdict Verdict
		reason  string
		quiet   bool
	}
	index := map[key]int{}
	var rows []Summary
	for _, e := range events {
		if e.Door == DoorDNS && e.Verdict == VerdictAllow {
			continue // the connection that follows is the row
		}
		host := e.Host
		if host == "" {
			host = e.Dst
		}
		k := key{host, e.Port, e.Door, e.Verdict, e.Reason, e.Expected}
		i, ok := index[k]
		if !ok {
			i = len(rows)
			index[k] = i
			rows = append(rows, Summary{Host: host, Port: e.Port, Door: e.Door, Verdict: e.Verdict, Reason: e.Reason, Fix: fix(e), Expected: e.Expected})
		}
		rows[i].add(e)
	}
	slices.SortStableFunc(rows, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(a.Verdict.rank(), b.Verdict.rank()), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Host, b.Host))
	})
	return rows
}

func (v Verdict) rank() int {
	return slices.Index([]Verdict{VerdictDeny, VerdictWouldDeny, VerdictLearned, VerdictNote, VerdictAllow}, v)
}

// fix returns the flag that would allow what the event denied, if one would.
func fix(e Event) string {
	switch e.Verdict {
	case VerdictDeny, VerdictWouldDeny, VerdictLearned:
	default:
		return ""
	}
	if e.Rule != "" && e.Rule != "default" {
		return "" // a policy within the operator's has to name it
	}
	switch e.Reason {
	case ReasonHost, ReasonPort:
	default:
		return ""
	}
	if _, err := normalizeHost(e.Host); err != nil || strings.HasPrefix(e.Host, "_") || strings.HasSuffix(e.Host, ".arpa") {
		return ""
	}
	if e.Port == 0 || e.Door == DoorDNS {
		return "--allow " + e.Host
	}
	return "--allow " + e.Host + ":" + strconv.Itoa(int(e.Port))
}
