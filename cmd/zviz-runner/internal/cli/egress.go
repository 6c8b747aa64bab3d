// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
)

func (a app) egressCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "egress",
		Short:   "Ask, explain, learn or import what a command may reach",
		GroupID: "look",
		Long: `egress is about the policy of the network (help policy).

  check URL      would it be allowed? Nothing is run
  explain        the policy in force, and where each line was written
  learn -- CMD   run a command that may reach everything, and print the smallest
                 policy with which it would have run
  import FILE    make a policy of another tool's list
  tail           what running commands ask for, as it happens`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	cmd.AddCommand(a.egressCheckCommand(), a.egressExplainCommand(), a.egressLearnCommand(), a.egressImportCommand(), a.egressTailCommand())
	for _, c := range cmd.Commands() {
		c.InitDefaultHelpFlag()
		c.Flags().Lookup("help").Usage = "print this help"
	}
	return cmd
}

// policyOptions are the flags that make a policy.
type policyOptions struct {
	allow        []string
	mode, policy string
	step         string
	dir          string
	noRepoPolicy bool
	json         bool
}

func (o *policyOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVar(&o.allow, "allow", nil, "`LIST` of presets and hosts, as of exec (repeat)")
	f.Var(choice{&o.mode, egressModes()}, "egress", "what becomes of other hosts (default deny)")
	f.StringVar(&o.policy, "policy", "", "the operator's policy `FILE` (help policy)")
	f.StringVarP(&o.dir, "dir", "C", "", "`DIR` of the command (default: the current folder)")
	f.BoolVar(&o.noRepoPolicy, "no-repo-policy", false, "leave "+executor.RepositoryPolicyName+" of the workspace, which can narrow the policy, unread")
	f.StringVar(&o.step, "step", "", "the step of a job that is meant: `name=NAME`, id=ID or uses=ACTION")
	f.BoolVar(&o.json, "json", false, "print JSON")
}

// network is the policy of the network that flags, variables, file and built-ins
// make together.
type network struct {
	egress.Policy
	file    executor.PolicyFile
	name    string // of the policy file, empty without
	origin  map[string]string
	presets []egress.Preset
	more    []egress.Preset // that only steps name
	step    egress.StepName
	// narrowed is the repository's policy, nil if there is none, and operators the policy
	// without it.
	narrowed  *executor.PolicyFile
	operators egress.Policy
}

// network merges as exec does, but that no command decides.
func (o *policyOptions) network(ctx context.Context, a app, cmd *cobra.Command) (network, error) {
	var n network
	var err error
	if n.origin, err = a.applyVariables(cmd.Flags()); err != nil {
		return n, err
	}
	if n.step, err = parseStep(o.step); err != nil {
		return n, argument("--step", o.step, err)
	}
	if n.file, n.name, err = a.policy(o.policy); err != nil {
		return n, err
	}
	n.Policy = n.file.Policy.Egress
	if o.mode != "" {
		n.Mode = egress.Mode(o.mode)
	}
	names, rules, err := parseAllow(splitList(o.allow), n.origin["allow"])
	if err != nil {
		return n, argument(n.origin["allow"], "", err)
	}
	n.Rules = slices.Concat(n.Rules, rules)
	names = slices.Concat(n.file.Presets, slices.DeleteFunc(names, func(p string) bool { return slices.Contains(n.file.Presets, p) }))
	var more []string
	for _, s := range n.Steps {
		for _, p := range s.Presets {
			if !slices.Contains(names, p) && !slices.Contains(more, p) {
				more = append(more, p)
			}
		}
	}
	if err := o.narrowed(a, &n); err != nil {
		return n, err
	}
	if len(names)+len(more) == 0 {
		n.narrow()
		return n, nil
	}
	// Only now: without presets nothing runs, and no rights are needed.
	if err := a.enter(); err != nil {
		return n, err
	}
	x, err := a.runner(slog.New(slog.DiscardHandler))
	if err != nil {
		return n, err
	}
	end := a.waiting("ask your tools for their registries")
	defer end()
	if n.presets, err = x.Presets(ctx, names, n.file.Policy.AllowMissing); err != nil {
		return n, err
	}
	if n.more, err = x.Presets(ctx, more, n.file.Policy.AllowMissing); err != nil {
		return n, err
	}
	n.narrow()
	return n, nil
}

// narrowed reads the repository's policy.
func (o *policyOptions) narrowed(a app, n *network) error {
	if o.noRepoPolicy {
		return nil
	}
	dir, err := workspace(o.dir)
	if err != nil {
		return err
	}
	file, ok, err := executor.RepositoryPolicy(a.config(nil), dir, n.name)
	if ok {
		n.narrowed = &file
	}
	return err
}

// narrow puts the repository's policy in force.
func (n *network) narrow() {
	if n.NPM.Publish {
		n.Rules = slices.Concat(n.Rules, egress.PublishRules(n.presets))
	}
	n.operators = n.Policy
	if n.narrowed != nil {
		n.Policy = executor.Narrow(n.Policy, *n.narrowed, n.presets, n.more)
	}
}

func parseStep(s string) (egress.StepName, error) {
	if s == "" {
		return egress.StepName{}, nil
	}
	key, value, ok := strings.Cut(s, "=")
	switch {
	case ok && key == "name":
		return egress.StepName{Name: value}, nil
	case ok && key == "id":
		return egress.StepName{ID: value}, nil
	case ok && key == "uses":
		return egress.StepName{Uses: value}, nil
	default:
		return egress.StepName{}, usageError{"want name=NAME, id=ID or uses=ACTION", ""}
	}
}

func (a app) egressCheckCommand() *cobra.Command {
	o := &policyOptions{}
	method := ""
	cmd := &cobra.Command{
		Use:   "check URL",
		Short: "Say whether a request would be allowed",
		Long: `check judges a request by the policy in force, as exec and run would; nothing is
run, and nothing is asked but your own tools, if the policy has presets. URL is
https://, http:// or tcp://HOST:PORT; HOST[:PORT] alone means https.

It cannot know what only shows at run time: the address behind a name, limits, and
what a request carries.

Exit code: 0 if it is allowed, 1 if not, 2 if the question or the policy is wrong.`,
		Example: `  zviz-runner egress check --allow npm https://registry.example.com/left-pad
  zviz-runner egress check -X PUT https://registry.example.com/left-pad
  zviz-runner egress check --step name=Install api.example.com:8443`,
		Args: oneArg("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return usage(a.egressCheck(cmd, o, method, args[0]))
		},
	}
	cmd.Flags().StringVarP(&method, "method", "X", "", "the request's `METHOD` (default GET)")
	o.flags(cmd)
	a.completeFlags(cmd)
	return cmd
}

// oneArg wants one argument.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return failure{
			Code: "usage.argument", What: fmt.Sprintf("%s takes one %s, got %d arguments", cmd.CommandPath(), name, len(args)),
			Fix: cmd.CommandPath() + " " + name, Exit: exitUsage,
		}
	}
}

// usage makes every error one of a wrong question: exit code 1 is an answer.
func usage(err error) error {
	if _, ok := find[exitStatus](err); ok || err == nil {
		return err
	}
	f := describe(err)
	f.Exit = exitUsage
	return f
}

func (a app) egressCheck(cmd *cobra.Command, o *policyOptions, method, url string) error {
	if method != "" && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
		return argument("--method", method, usageError{"want capital letters, such as PUT", ""})
	}
	n, err := o.network(cmd.Context(), a, cmd)
	if err != nil {
		return err
	}
	ans, err := n.Ask(n.presets, n.more, egress.Question{Method: method, URL: url, Step: n.step})
	if err != nil {
		return argument("URL", "", err)
	}
	if o.json {
		err = writeJSON(a.Out, ans)
	} else {
		err = printLine(a.Out, ui.CleanLine(answerLine(ans)))
		if err == nil && ans.Fix != "" {
			err = printLine(a.Out, "  fix: "+ans.Fix)
		}
	}
	if err == nil && !ans.Allowed {
		return exitStatus(exitFailed)
	}
	return err
}

// answerLine is "allow GET api.example.com:443 by npm (npm config registry)".
func answerLine(a egress.Answer) string {
	s := string(a.Verdict)
	if a.Method != "" {
		s += " " + a.Method
	}
	s += fmt.Sprintf(" %s:%d", a.Host, a.Port)
	if a.Reason != "" {
		s += " (" + a.Reason + ")"
	}
	s += " by " + a.Rule
	if a.Origin != "" && a.Origin != a.Rule {
		s += " (" + a.Origin + ")"
	}
	if a.Allowed && a.Seen == "host" {
		s += "; method and path are not seen"
	}
	if a.Injected {
		s += "; with a credential that the job does not hold"
	}
	return s
}

func (a app) egressExplainCommand() *cobra.Command {
	o := &policyOptions{}
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Print the policy in force, and where each line was written",
		Long: `explain prints the policy of the network as exec and run would have it, a line for
each thing that it says, with its origin: a flag, a variable, a line of the policy
file, the configuration of a tool, or built in. With --step: as that step of a job
would have it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := o.network(cmd.Context(), a, cmd)
			if err != nil {
				return usage(err)
			}
			lines := n.explain(o.step != "")
			if o.json {
				return writeJSON(a.Out, struct {
					File  string        `json:"file,omitempty"`
					Lines []explanation `json:"lines"`
				}{n.name, lines})
			}
			wide := 0
			for _, l := range lines {
				wide = max(wide, len(l.What))
			}
			for _, l := range lines {
				if err := printLine(a.Out, ui.CleanLine(fmt.Sprintf("%-*s  # %s", min(wide, 60), l.What, l.Origin))); err != nil {
					return err
				}
			}
			return nil
		},
	}
	o.flags(cmd)
	a.completeFlags(cmd)
	return cmd
}

// explanation is a line of explain.
type explanation struct {
	What   string `json:"what"`
	Origin string `json:"origin"`
}

// explain says what is in force, and for which reason.
func (n network) explain(ofStep bool) []explanation {
	var out []explanation
	add := func(origin, format string, args ...any) {
		out = append(out, explanation{fmt.Sprintf(format, args...), origin})
	}
	from := func(keys ...string) string {
		for _, key := range keys {
			if flag, ok := strings.CutPrefix(key, "--"); ok {
				if n.origin[flag] != "" {
					return n.origin[flag]
				}
			} else if place := n.file.Origins[key]; place != "" {
				return place
			}
		}
		return "built in"
	}
	mode, onDeny := n.Mode, n.OnDeny
	if mode == "" {
		mode = egress.ModeDeny
	}
	if onDeny == "" {
		onDeny = egress.FailRequest
	}
	add(from("--egress", "egress.mode"), "mode %s", mode)
	add(from("egress.on_deny"), "on_deny %s", onDeny)
	n.explainNarrowed(add)
	for _, host := range n.Deny {
		add(from("egress.deny"), "deny %s", host)
	}
	policy := n.Policy
	if ofStep {
		for _, s := range n.Steps {
			if s.Matches(n.step) {
				add(s.Origin, "step %s", s.Match)
				break
			}
		}
		policy = n.ForStep(n.step, slices.Concat(n.presets, n.more))
	}
	for _, r := range policy.Rules {
		add(orBuiltIn(r.Origin), "allow %s", ruleLine(r))
	}
	if !ofStep || !slices.ContainsFunc(n.Steps, func(s egress.StepPolicy) bool { return s.Matches(n.step) }) {
		for _, p := range n.presets {
			for _, r := range p.Rules {
				r.Preset = p.Name
				add(fmt.Sprintf("preset %s: %s", p.Name, orBuiltIn(r.Origin)), "allow %s", ruleLine(r))
			}
			for _, note := range p.Notes {
				add("preset "+p.Name, "note %s", note)
			}
		}
	}
	if !ofStep {
		for _, s := range n.Steps {
			add(s.Origin, "step %s", s.Match)
			for _, r := range s.Rules {
				add(orBuiltIn(r.Origin), "  allow %s", ruleLine(r))
			}
			for _, p := range s.Presets {
				add(s.Origin, "  preset %s", p)
			}
		}
	}
	for _, s := range n.ExpectDenied {
		add(from("egress.expect_denied"), "expect_denied %s", s)
	}
	for i, l := range n.Limits.List() {
		origin := from("egress.limits." + l.Key)
		if l != n.operators.Limits.List()[i] {
			origin = n.narrowed.Origins["egress.limits."+l.Key]
		}
		add(origin, "limit %s %s", l.Key, l.Value)
	}
	n.explainPackages(add)
	u := n.Upstream
	for _, kv := range [][2]string{{"dns", u.DNS}, {"ca_file", u.CAFile}, {"proxy", egress.RedactURL(u.Proxy)}, {"no_proxy", u.NoProxy}} {
		if kv[1] != "" {
			add(from("egress.upstream."+kv[0]), "upstream %s %s", kv[0], kv[1])
		}
	}
	for _, name := range sortedKeys(u.Hosts) {
		add(from("egress.upstream.hosts"), "upstream host %s at %s", name, u.Hosts[name])
	}
	if n.origin["allow"] == "" && !n.file.DecidesHosts {
		add("built in", "preset of the command, if it has one")
	}
	return out
}

// explainPackages says which rules about packages are in force.
func (n network) explainPackages(add func(origin, format string, args ...any)) {
	for _, group := range []struct {
		key            string
		rules, granted egress.PackageRules
	}{{"npm", n.NPM, n.operators.NPM}, {"packages", n.Packages, n.operators.Packages}} {
		line := func(key string, same bool, value any) {
			file := n.file
			if !same {
				file = *n.narrowed // only it can have changed what the operator wrote
			}
			add(orBuiltIn(file.Origins["egress."+group.key+"."+key]), "%s %s %v", group.key, key, value)
		}
		r, g := group.rules, group.granted
		if r.MinReleaseAge > 0 {
			line("min_release_age", r.MinReleaseAge == g.MinReleaseAge, r.MinReleaseAge)
		}
		for _, s := range r.Exclude {
			line("exclude", slices.Contains(g.Exclude, s), s)
		}
		if r.LockfileOnly {
			line("lockfile_only", g.LockfileOnly, true)
		}
		if r.Publish {
			line("publish", g.Publish, true)
		}
		for _, s := range r.Block {
			line("block", slices.Contains(g.Block, s), s)
		}
	}
}

// explainNarrowed says what of the repository's policy is in force: what a request must
// be allowed by besides.
func (n network) explainNarrowed(add func(origin, format string, args ...any)) {
	f := n.narrowed
	if f == nil {
		return
	}
	p := f.Policy.Egress
	at := func(key string) string { return f.Origins["egress."+key] }
	if p.Mode != "" {
		add(at("mode"), "narrowed mode %s", p.Mode)
	}
	for _, host := range p.Deny {
		add(at("deny"), "narrowed deny %s", host)
	}
	if !f.DecidesHosts {
		return
	}
	for _, preset := range f.Presets {
		add(cmp.Or(at("presets"), at("allow")), "narrowed to preset %s", preset)
	}
	for _, r := range p.Rules {
		add(r.Origin, "narrowed to %s", ruleLine(r))
	}
	if len(f.Presets)+len(p.Rules) == 0 {
		add(cmp.Or(at("allow"), at("presets")), "narrowed to nothing")
	}
}

func orBuiltIn(origin string) string {
	if origin == "" {
		return "built in"
	}
	return origin
}

// ruleLine is all that a rule says.
func ruleLine(r egress.Rule) string {
	s := r.String()
	switch {
	case r.Protocol != "":
		s += ", any protocol, opaque"
	case r.Terminates():
		s += ", each request seen"
	default:
		s += ", spliced"
	}
	methods := r.Methods
	if len(methods) == 0 && (r.Preset != "" || r.Inject != nil) {
		methods = []string{"GET", "HEAD"}
	}
	if len(methods) > 0 {
		s += ", " + strings.Join(methods, " ")
	}
	if len(r.Paths) > 0 {
		s += ", " + strings.Join(r.Paths, " ")
	}
	if len(r.Except) > 0 {
		s += ", but not " + strings.Join(r.Except, " ")
	}
	if strings.HasPrefix(r.Host, "*.") && r.MaxNames > 0 {
		s += fmt.Sprintf(", %d names", r.MaxNames)
	}
	if r.Private {
		s += ", private addresses too"
	}
	if r.WebSocket {
		s += ", WebSockets too"
	}
	if in := r.Inject; in != nil {
		s += fmt.Sprintf(", %s from %s", in.Header, in.ValueFrom)
	}
	if r.Redirects {
		s += ", redirects followed for the job"
	}
	if r.SHA256 != "" {
		s += ", sha256 " + r.SHA256
	}
	return s
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
