// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
)

func (a app) egressLearnCommand() *cobra.Command {
	o := &execOptions{}
	cmd := &cobra.Command{
		Use:   "learn [flags] -- COMMAND [ARG...]",
		Short: "Run a command and print the smallest policy for it",
		Long: `learn runs a command as exec does, but lets it reach every host with a public
address, without secrets, and prints the smallest policy with which it would have
run: which step and process needed each host stands beside it. Hosts first reached
by an install script of a package, or by nobody who could be seen, are commented
out: look at them.

The policy goes to standard output, everything the command prints to standard
error; no file is written. Learn where it does no harm: what an attacker's package
sends, it sends.

Exit code: the command's own.`,
		Example: `  zviz-runner egress learn -- npm ci > policy.yml`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.args = args
			if o.origin, err = a.applyVariables(cmd.Flags()); err != nil {
				return ours(err)
			}
			for _, name := range notWithLearn() {
				if o.origin[name] == "--"+name {
					return ours(failure{Code: "usage.argument", What: "--" + name + " does not go with learn", Fix: "leave it out", Exit: exitUsage})
				}
			}
			o.noNetwork, o.strict, o.egress = false, false, string(egress.ModeLearn)
			if err := a.enter(); err != nil {
				return ours(err)
			}
			o.lesson = a.Out
			a.Out = a.Err
			return a.exec(cmd.Context(), o)
		},
	}
	cmd.SetFlagErrorFunc(execFlagError)
	a.execFlags(cmd, o)
	for _, name := range notWithLearn() {
		cmd.Flags().Lookup(name).Hidden = true
	}
	return cmd
}

// notWithLearn are the flags of exec that contradict a run that learns.
func notWithLearn() []string {
	return []string{"egress", "no-network", "strict-egress", "secret", "json", "explain"}
}

// lesson writes the smallest policy that would have let a run do what it did, for
// people to read first. Everything that a job can influence is cleaned.
func lesson(w io.Writer, command []string, learned []egress.Learned, mask func(string) string) error {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(strings.TrimRight(mask(ui.CleanLine(fmt.Sprintf(format, args...))), " ") + "\n")
	}
	line("# Learned by zviz-runner from: %s", quoteCommand(command))
	line("version: 1")
	line("egress:")
	var names []string // of steps
	for _, l := range learned {
		if !slices.Contains(names, l.Step) {
			names = append(names, l.Step)
		}
	}
	if len(names) == 0 || len(names) == 1 && names[0] == "" {
		hosts(line, "  ", learned)
	} else {
		line("  presets: []")
		line("  allow: []")
		line("  steps:")
		for _, name := range names {
			line("    - match: %s", quoteYAML(stepMatch(name)))
			hosts(line, "      ", slices.DeleteFunc(slices.Clone(learned), func(l egress.Learned) bool { return l.Step != name }))
		}
	}
	_, err := io.WriteString(w, b.String())
	return unwritable("the policy that was learned", err)
}

// stepMatch matches a step by its name. What cannot be printed is matched by "*".
func stepMatch(name string) string {
	if name == "" {
		return "*"
	}
	plain := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '*'
		}
		return r
	}, name)
	if r := []rune(plain); len(r) > 200 {
		plain = string(r[:200]) + "*"
	}
	return "name=" + plain
}

// hosts writes the keys presets and allow.
func hosts(line func(string, ...any), in string, learned []egress.Learned) {
	var presets []string
	for _, l := range learned {
		if l.Preset != "" {
			presets = append(presets, l.Preset)
			line("%s# %s: %s", in, l.Preset, who(l))
		}
	}
	line("%spresets: [%s]", in, strings.Join(presets, ", "))
	list, doubted := fold(learned)
	if len(list) == 0 {
		line("%sallow: []", in)
	} else {
		line("%sallow:", in)
	}
	for _, h := range list {
		h.write(line, in, "")
	}
	if len(doubted) > 0 {
		line("%s# Not allowed, because nobody should be unseen: take the # away from what you know.", in)
	}
	for _, h := range doubted {
		h.write(line, in, "# ")
	}
}

// learnedHost is a host with all its ports.
type learnedHost struct {
	host  string
	ports []uint16
	all   []egress.Learned
}

// fold joins the ports of a host, and parts what is doubted.
func fold(learned []egress.Learned) (list, doubted []learnedHost) {
	for _, l := range learned {
		if l.Preset != "" {
			continue
		}
		to := &list
		if l.Doubt != "" || len(l.Needs) > 0 {
			to = &doubted
		}
		name := l.Host
		if name == "" {
			name = l.Dst
		}
		i := slices.IndexFunc(*to, func(h learnedHost) bool { return h.host == name })
		if i < 0 {
			i = len(*to)
			*to = append(*to, learnedHost{host: name})
		}
		h := &(*to)[i]
		if l.Port != 0 && !slices.Contains(h.ports, l.Port) {
			h.ports = append(h.ports, l.Port)
		}
		h.all = append(h.all, l)
	}
	return list, doubted
}

func (h learnedHost) write(line func(string, ...any), in, hash string) {
	for _, l := range h.all {
		line("%s  # %s", in, who(l))
		for _, need := range l.Needs {
			line("%s  #   needs %s", in, need)
		}
	}
	r, err := egress.ParseRule(h.host)
	if err != nil {
		return // an address, or nothing that could be a host: the comment says all
	}
	usual := true
	for _, p := range h.ports {
		usual = usual && (p == 443 || p == 80)
	}
	switch {
	case usual:
		line("%s  %s- %s", in, hash, quoteYAML(r.Host))
	case len(h.ports) == 1:
		line("%s  %s- %s", in, hash, quoteYAML(fmt.Sprintf("%s:%d", r.Host, h.ports[0])))
	default:
		line("%s  %s- host: %s", in, hash, quoteYAML(r.Host))
		line("%s  %s  ports: %s", in, hash, strings.ReplaceAll(fmt.Sprint(h.ports), " ", ", "))
	}
}

// who is "sh > npm > node, pid 41, 3 times, up 1.0 KiB, down 20 KiB".
func who(l egress.Learned) string {
	var s string
	switch {
	case len(l.First.Chain) > 0:
		s = strings.Join(l.First.Chain, " > ") + fmt.Sprintf(", pid %d", l.First.PID)
	case l.First.PID != 0:
		s = fmt.Sprintf("%s, pid %d", path.Base(l.First.Exe), l.First.PID)
	default:
		s = "a process that was gone"
	}
	if l.Script != "" {
		s = l.Script + " of " + l.Pkg + " (claimed): " + s
	}
	if l.Step != "" {
		s = "step " + l.Step + ": " + s
	}
	s += fmt.Sprintf(", %s, up %s, down %s", ui.Count(l.Count, "time", "times"), ui.Amount(l.Up), ui.Amount(l.Down))
	switch l.Doubt {
	case egress.DoubtData:
		s += "; the name looks like a message"
	case egress.DoubtRefused:
		s += "; refused"
		if l.Host == "" {
			s += ": " + l.Dst + " has no name, and a policy allows names"
		}
	}
	return s
}

// quoteYAML writes a text that a job chose. Words that are no text for some reader of YAML
// (yaml.org/type, 1.1 too) are quoted: they are good names of hosts.
func quoteYAML(s string) string {
	if slices.Contains([]string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}, s) {
		return `"` + s + `"`
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:", r)
	}
	if s != "" && s[0] >= 'a' && s[0] <= 'z' && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return fmt.Sprintf("%q", s)
}
