// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/egress"
)

// Imported is what another tool's list of hosts means here.
type Imported struct {
	From  string // the tool
	Mode  egress.Mode
	Rules []egress.Rule
	Notes []string // what could not be taken over, and why
}

// ImportPolicy reads GitHub's egress-firewall.yaml, a workflow with steps of
// step-security/harden-runner or bullfrogsec/bullfrog, or a plain list of hosts. What
// it allows is no more than what the other tool's file names.
//
// The formats are those of the tools' own pages, read in November 2026.
func ImportPolicy(name string, data []byte) (Imported, error) {
	if len(data) > maxPolicyBytes {
		return Imported{}, &PolicyError{File: name, What: fmt.Sprintf("larger than %d KiB", maxPolicyBytes>>10)}
	}
	d := newPolicyDecoder(name)
	root, err := d.load(data)
	if err != nil || root.Kind == yaml.ScalarNode {
		if err == nil || !strings.Contains(string(data), "{") && !strings.Contains(string(data), ": ") {
			in := importer{d: d}
			in.out.From, in.out.Mode = "a list of hosts", egress.ModeDeny
			for i, line := range strings.Split(string(data), "\n") {
				in.items(line, i+1)
			}
			return in.done()
		}
		return Imported{}, err
	}
	in := importer{d: d}
	if err := in.file(root); err != nil {
		return Imported{}, err
	}
	return in.done()
}

// importer gathers what a file says.
type importer struct {
	d   *policyDecoder
	out Imported
}

func (in *importer) note(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(in.out.Notes, s) && len(in.out.Notes) < 1000 {
		in.out.Notes = append(in.out.Notes, s)
	}
}

func (in *importer) done() (Imported, error) {
	if in.out.From == "" {
		return Imported{}, &PolicyError{
			File: in.d.name, Line: 1, What: "no list of hosts in it",
			Fix: "want GitHub's egress-firewall.yaml, a workflow with harden-runner's allowed-endpoints or bullfrog's allowed-domains, or a list of hosts",
		}
	}
	return in.out, nil
}

func (in *importer) file(root *yaml.Node) error {
	switch root.Kind {
	case yaml.SequenceNode:
		in.out.From, in.out.Mode = "a list of hosts", egress.ModeDeny
		return in.list(root)
	case yaml.MappingNode:
	default:
		return in.d.errorf(root, "want keys with values, got %s", describeNode(root))
	}
	if jobs := lookup(root, "jobs"); jobs != nil {
		return in.walk(jobs)
	}
	if steps := lookup(root, "runs"); steps != nil { // a composite action
		return in.walk(steps)
	}
	if allow := lookup(root, "allow"); allow != nil {
		return in.github(root, allow)
	}
	return nil
}

// lookup returns the value of a key.
func lookup(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Kind == yaml.ScalarNode && k.Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// github reads egress-firewall.yaml.
func (in *importer) github(root, allow *yaml.Node) error {
	in.out.From, in.out.Mode = "GitHub's egress firewall", egress.ModeAudit
	switch mode := scalar(lookup(root, "mode")); mode {
	case "enforce":
		in.out.Mode = egress.ModeDeny
	case "log", "":
	default:
		return in.d.errorf(lookup(root, "mode"), "mode %q: want enforce or log", clip(mode))
	}
	if scalar(lookup(root, "no-default-urls")) != "true" {
		in.note("there, hosts of GitHub's own are allowed without being named (github.com, codeload.github.com, and those of its runner service and artifacts); name those that steps need themselves")
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if k := root.Content[i].Value; !slices.Contains([]string{"mode", "allow", "no-default-urls"}, k) {
			in.note("line %d: the key %q is not known here and is left out", root.Content[i].Line, clip(k))
		}
	}
	return in.list(allow)
}

func (in *importer) list(n *yaml.Node) error {
	n, err := in.d.visit(n)
	if err != nil || isNull(n) {
		return err
	}
	if n.Kind == yaml.ScalarNode {
		in.items(n.Value, n.Line)
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return in.d.errorf(n, "want a list of hosts, got %s", describeNode(n))
	}
	for _, c := range n.Content {
		c, err := in.d.visit(c)
		if err != nil {
			return err
		}
		if c.Kind != yaml.ScalarNode {
			in.note("line %d: %s is no host and is left out", c.Line, describeNode(c))
			continue
		}
		in.items(c.Value, c.Line)
	}
	return nil
}

// walk looks for steps that use one of the tools.
func (in *importer) walk(n *yaml.Node) error {
	n, err := in.d.visit(n)
	if err != nil {
		return err
	}
	uses, with := scalar(lookup(n, "uses")), lookup(n, "with")
	action, _, _ := strings.Cut(uses, "@")
	switch {
	case strings.EqualFold(action, "step-security/harden-runner"):
		in.tool("harden-runner", with, "allowed-endpoints")
	case strings.EqualFold(action, "bullfrogsec/bullfrog"):
		in.tool("bullfrog", with, "allowed-domains")
		in.addresses(lookup(with, "allowed-ips"))
		if scalar(lookup(with, "dns-policy")) == "any" {
			in.note("dns-policy: any lets names be asked that are not allowed, and with them data out; here the resolver never asks anybody")
		}
	}
	for _, c := range n.Content {
		if err := in.walk(c); err != nil {
			return err
		}
	}
	return nil
}

// tool reads the inputs of a step.
func (in *importer) tool(name string, with *yaml.Node, key string) {
	mode := egress.ModeAudit
	if scalar(lookup(with, "egress-policy")) == "block" {
		mode = egress.ModeDeny
	}
	if in.out.From == "" {
		in.out.From, in.out.Mode = name, mode
	} else {
		if in.out.From != name {
			in.out.From += ", " + name
		}
		in.note("there is more than one step with a list: this is all of them together")
		if mode == egress.ModeDeny {
			in.out.Mode = mode
		}
	}
	if n := lookup(with, key); n != nil && n.Kind == yaml.ScalarNode {
		if strings.Contains(n.Value, "${{") {
			in.note("line %d: an expression is not evaluated; what stands in it is left out", n.Line)
		}
		in.items(withoutExpressions(n.Value), n.Line)
	}
}

// withoutExpressions takes away what GitHub would put in.
func withoutExpressions(s string) string {
	for {
		head, rest, ok := strings.Cut(s, "${{")
		if !ok {
			return s
		}
		_, tail, _ := strings.Cut(rest, "}}")
		s = head + " " + tail
	}
}

func (in *importer) addresses(n *yaml.Node) {
	for item := range strings.FieldsFuncSeq(scalar(n), separator) {
		in.note("line %d: address %s: only names can be allowed; egress.upstream.hosts gives a name that address", n.Line, clip(item))
	}
}

// items reads hosts that are parted by white space or commas.
func (in *importer) items(text string, line int) {
	for item := range strings.FieldsFuncSeq(stripComments(text), separator) {
		r, err := egress.ParseRule(strings.TrimSuffix(strings.TrimPrefix(item, "https://"), "/"))
		if err != nil {
			in.note("line %d: %v; left out", line, err)
			continue
		}
		r.Origin = fmt.Sprintf("%s:%d", in.d.name, line)
		in.add(r)
	}
}

// add joins the ports of a host.
func (in *importer) add(r egress.Rule) {
	i := slices.IndexFunc(in.out.Rules, func(o egress.Rule) bool { return o.Host == r.Host })
	if i < 0 {
		in.out.Rules = append(in.out.Rules, r)
		return
	}
	o := &in.out.Rules[i]
	if len(o.Ports) == 0 && len(r.Ports) == 0 {
		return
	}
	if len(o.Ports) == 0 {
		o.Ports = []uint16{80, 443}
	}
	if len(r.Ports) == 0 {
		r.Ports = []uint16{80, 443}
	}
	addNew(&o.Ports, r.Ports...)
}

func separator(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) }

// stripComments takes away what stands behind '#' on each line.
func stripComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		b.WriteString(line + "\n")
	}
	return b.String()
}

func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}
