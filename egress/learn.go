// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"slices"
	"strings"
)

// Learned is a host that a run with ModeLearn reached, or tried to.
type Learned struct {
	Step   string // that reached it
	Host   string // empty for an address without a name
	Dst    string // that address
	Port   uint16
	Preset string // that covers it already; Host is empty then
	Count  int
	Up     int64
	Down   int64
	First  Process // who reached it first
	Pkg    string  // of that process, claimed
	Script string  // of that process, claimed
	// Doubt says why nobody should allow it unseen; empty if nothing speaks against it.
	Doubt string
	// Needs are what a rule for it would have to say besides: "private: true", or a
	// method and a path that the rule that covers it does not allow.
	Needs []string
}

// Reasons to doubt.
const (
	DoubtScript  = "script"  // first reached by a package's install script
	DoubtUnknown = "unknown" // by a process that was gone before we could look
	DoubtData    = "data"    // the name itself looks like a message
	DoubtRefused = "refused" // it stays closed: raw protocols, private addresses, no name
)

// Learn folds events into what a policy would have to allow, by step, first reached
// first.
func Learn(events []Event) []Learned {
	type key struct {
		step, host, dst, preset string
		port                    uint16
	}
	index := map[key]int{}
	var out []Learned
	for _, e := range events {
		k, ok := key{step: e.Step, host: e.Host, port: e.Port}, true
		switch {
		case e.Door == DoorDNS || e.Door == DoorUDP || e.Door == DoorICMP || e.Reason == ReasonLimit:
			ok = false // a question is no need; the connection that follows is
		case e.Verdict == VerdictAllow && IsPreset(e.Rule):
			k = key{step: e.Step, preset: e.Rule}
		case e.Host == "":
			k = key{step: e.Step, dst: e.Dst}
		case e.Reason == ReasonMalformed || e.Reason == ReasonIPLiteral || e.Reason == ReasonUntrusted:
			ok = false
		}
		if !ok {
			continue
		}
		i, known := index[k]
		if !known {
			i = len(out)
			index[k] = i
			out = append(out, Learned{
				Step: k.step, Host: k.host, Dst: k.dst, Port: k.port, Preset: k.preset,
				First: e.Process, Pkg: e.Pkg, Script: e.Script, Doubt: doubt(e, k.preset),
			})
		}
		l := &out[i]
		l.Count += max(e.Count, 1)
		l.Up += e.Up
		l.Down += e.Down
		if need := need(e); need != "" && !slices.Contains(l.Needs, need) && len(l.Needs) < 20 {
			l.Needs = append(l.Needs, need)
		}
	}
	slices.SortStableFunc(out, func(a, b Learned) int { return cmp.Compare(stepOrder(out, a.Step), stepOrder(out, b.Step)) })
	return out
}

// stepOrder is where a step first stands.
func stepOrder(list []Learned, step string) int {
	return slices.IndexFunc(list, func(l Learned) bool { return l.Step == step })
}

func doubt(e Event, preset string) string {
	switch {
	case preset != "":
		return ""
	case e.Host == "" || e.Verdict == VerdictDeny:
		return DoubtRefused
	case installScript(e.Script):
		return DoubtScript
	case CarriesData(e.Host):
		return DoubtData
	case e.PID == 0:
		return DoubtUnknown
	default:
		return ""
	}
}

// need is what a rule would have to say for the event to be allowed.
func need(e Event) string {
	if e.Door == DoorHTTP && e.Opaque {
		return "websocket: true"
	}
	switch e.Reason {
	case ReasonPrivate:
		return "private: true"
	case ReasonECH:
		return "tls: terminate, since the client hides the name (ECH)"
	case ReasonUpgrade:
		return "websocket: true"
	case ReasonMethod, ReasonPath, ReasonBody:
		return e.Method + " " + e.Path
	default:
		return ""
	}
}

// installScript reports whether npm runs a script of that name when a package is
// installed (npm's documentation, "scripts").
func installScript(name string) bool {
	return slices.Contains([]string{"preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare", "dependencies"}, name)
}

// CarriesData reports whether a name looks like a message to whoever runs its zone:
// such a name is never proposed.
func CarriesData(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if len(label) > 30 || len(label) >= 16 && strings.Trim(label, "0123456789abcdef") == "" {
			return true
		}
	}
	return false
}
