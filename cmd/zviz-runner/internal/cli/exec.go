// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/seccomp"
)

// execOptions are the flags of exec as they were written.
type execOptions struct {
	args []string

	allow                   []string
	egress                  string
	noNetwork, strict       bool
	offline                 bool
	policy, profile, rootfs string
	allowMissing            []string
	dir                     string
	mounts, write           []string
	ephemeral, diff         bool
	noCanaries              bool
	noRepoPolicy            bool
	memory, cpus            string
	pids, timeout           string
	env, envFiles, secrets  []string
	report                  string
	provenance, signKey     string
	subjects                []string
	json, explain           bool
	progress, color         string
	quiet, verbose          bool

	origin  map[string]string // where each value was written, by flag
	guessed string            // preset of the command, if it got one
	lesson  io.Writer         // for the policy that was learned; nil is standard error
}

func (a app) execCommand() *cobra.Command {
	o := &execOptions{}
	cmd := &cobra.Command{
		Use:     "exec [flags] -- COMMAND [ARG...]",
		Short:   "Run one command in a sandbox",
		GroupID: "run",
		Long: `exec runs a command in a sandbox. Its input, output and exit code are its own; it
may write the current folder, a home and a /tmp that are thrown away, and
nothing else; it reaches the hosts you allow and no others.`,
		Example: `  zviz-runner exec -- npm ci
  zviz-runner exec --allow npm,api.example.com:8443 --timeout 10m -- npm test
  zviz-runner exec --no-network --ephemeral --diff -- ./configure
  zviz-runner exec --secret NPM_TOKEN --report report.json -- ./release.sh`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.args = args
			if o.origin, err = a.applyVariables(cmd.Flags()); err != nil {
				return ours(err)
			}
			if err := a.enter(); err != nil {
				return ours(err)
			}
			return a.exec(cmd.Context(), o)
		},
	}
	cmd.SetFlagErrorFunc(execFlagError)
	a.execFlags(cmd, o)
	return cmd
}

// execFlagError makes a bad flag one of our errors: exit codes below 125 are the
// command's.
func execFlagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	return ours(flagError(cmd, err))
}

// execFlags adds the flags of exec.
func (a app) execFlags(cmd *cobra.Command, o *execOptions) {
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows the command's name is the command's
	grantFlags(f, o)
	f.BoolVar(&o.noRepoPolicy, "no-repo-policy", false, "leave "+executor.RepositoryPolicyName+" of the workspace, which can narrow the policy, unread")
	f.StringVar(&o.rootfs, "rootfs", "", "`DIR` with a root file system (default: this machine's tools, read-only)")
	f.StringArrayVar(&o.write, "write", nil, "`PATH` of the workspace that stays writable although protected: .git (repeat)")
	f.BoolVar(&o.ephemeral, "ephemeral", false, "throw away what is written to the workspace")
	f.BoolVar(&o.diff, "diff", false, "the same, and print what was written")
	f.StringArrayVarP(&o.env, "env", "e", nil, "variable `KEY[=VALUE]` for the command; without a value, ours (repeat)")
	f.StringArrayVar(&o.envFiles, "env-file", nil, "variables from `FILE`, a KEY=VALUE a line (repeat)")
	f.StringArrayVar(&o.secrets, "secret", nil, "variable `KEY` with our value, masked in the output (repeat)")
	f.StringVar(&o.report, "report", "", "write the report, JSON, to `FILE`")
	f.StringVar(&o.provenance, "provenance", "", "write a signed statement about the report and --subject to `FILE`")
	f.StringVar(&o.signKey, "sign-key", "", "private key, PEM `FILE`, that signs it: Ed25519 or P-256; the command cannot see it")
	f.StringArrayVar(&o.subjects, "subject", nil, "`FILE` below the folder of the command that the statement is about (repeat)")
	f.BoolVar(&o.json, "json", false, "print JSON lines: output, network, and the report as the last one")
	f.BoolVar(&o.explain, "explain", false, "print what would be done, and run nothing")
	outputFlags(f, o)
	a.completeFlags(cmd)
}

// grantFlags are those of everything that runs code: what it may do and reach.
func grantFlags(f *pflag.FlagSet, o *execOptions) {
	f.StringArrayVar(&o.allow, "allow", nil, "`LIST` of presets and hosts it may reach (repeat; help policy)")
	f.Var(choice{&o.egress, egressModes()}, "egress", "what becomes of other hosts: deny, audit (report), learn (print a policy) (default deny)")
	f.BoolVar(&o.noNetwork, "no-network", false, "no network at all, not even names")
	f.BoolVar(&o.offline, "offline", false, "packages from the package store only; nothing outside is asked")
	f.BoolVar(&o.strict, "strict-egress", false, "exit 1 if it succeeded but anything was denied")
	f.StringVar(&o.policy, "policy", "", "the operator's policy `FILE` (help policy)")
	f.Var(choice{&o.profile, seccomp.ProfileNames()}, "profile", "what it may do: ci, hostile (less), debug (trace), root (install into --rootfs) (default ci)")
	f.StringArrayVar(&o.allowMissing, "allow-missing", nil, "start although this machine lacks `LAYER` (repeat)")
	f.StringVarP(&o.dir, "dir", "C", "", "run in `DIR`, the workspace (default: the current folder)")
	f.StringArrayVar(&o.mounts, "mount", nil, "show `SRC:DST[:rw]` of this machine inside (repeat)")
	f.BoolVar(&o.noCanaries, "no-canaries", false, "plant no fake credentials in its home")
	f.StringVar(&o.memory, "memory", "", "limit of memory: `SIZE` such as 2g (default 80 % of the machine)")
	f.StringVar(&o.cpus, "cpus", "", "limit of processors: `N` such as 1.5")
	f.StringVar(&o.pids, "pids", "", "limit of processes and threads: `N` (default 4096)")
	f.StringVar(&o.timeout, "timeout", "", "limit of time: `TIME` such as 30m, 0 for none")
}

// outputFlags are those of everything that runs code: how it is shown.
func outputFlags(f *pflag.FlagSet, o *execOptions) {
	f.Var(choice{&o.progress, []string{"auto", "tty", "plain", "quiet"}}, "progress", "how to show what is being done and decided: auto, tty, plain, quiet (default auto)")
	f.Var(choice{&o.color, []string{"auto", "always", "never"}}, "color", "colour in our own lines (default auto)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no lines of our own but errors")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "also print layers, usage and the hosts reached")
}

// completeFlags tells shells what the values of flags can be.
func (a app) completeFlags(cmd *cobra.Command) {
	fixed := func(values ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	for name, fn := range map[string]cobra.CompletionFunc{
		"allow":         fixed(egress.Presets()...),
		"egress":        fixed(egressModes()...),
		"profile":       fixed(seccomp.ProfileNames()...),
		"progress":      fixed("auto", "tty", "plain", "quiet"),
		"color":         fixed("auto", "always", "never"),
		"allow-missing": fixed(optionalLayers()...),
		"rootfs":        dirs,
		"tool-cache":    dirs,
		"dir":           dirs,
	} {
		if cmd.Flags().Lookup(name) == nil {
			continue
		}
		if err := cmd.RegisterFlagCompletionFunc(name, fn); err != nil {
			panic(err)
		}
	}
}

func dirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// ours makes any error one of ours: exec's other exit codes are the command's.
func ours(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[exitStatus](err); ok {
		return err
	}
	f := describe(err)
	f.Exit = exitOurs
	return f
}

// request merges flags, policy file and built-ins. The notes are for people.
func (o *execOptions) request(a app) (r executor.Request, notes []string, err error) {
	if len(o.args) == 0 {
		return r, nil, failure{Code: "usage.argument", What: "exec needs a command", Fix: "zviz-runner exec [flags] -- COMMAND [ARG...]"}
	}
	if o.args[0] == "" {
		return r, nil, failure{Code: "usage.argument", What: "the command's name is empty", Fix: "zviz-runner exec [flags] -- COMMAND [ARG...]"}
	}
	if o.quiet && o.verbose {
		return r, nil, contradiction("-q", "-v")
	}
	file, name, err := a.policy(o.policy)
	if err != nil {
		return r, nil, err
	}
	r = executor.Request{
		Args: o.args, Policy: file.Policy, Presets: slices.Clone(file.Presets),
		PolicyFile: name, NoRepositoryPolicy: o.noRepoPolicy,
	}
	if r.Dir, err = workspace(o.dir); err != nil {
		return r, nil, err
	}
	if name != "" {
		if path, err := filepath.EvalSymlinks(name); err == nil {
			if abs, err := filepath.Abs(path); err == nil && below(r.Dir, abs) && !o.ephemeral && !o.diff {
				notes = append(notes, "the policy file lies in the workspace: the command can change it for the next run")
			}
		}
	}
	if len(r.Policy.Egress.Steps) > 0 {
		notes = append(notes, "egress.steps of the policy file is for the steps of jobs: this command has what stands above it")
	}
	more, err := o.network(&r, file)
	if err != nil {
		return r, nil, err
	}
	notes = append(notes, more...)
	if err := o.limits(&r.Policy); err != nil {
		return r, nil, err
	}
	if err := o.files(&r.Policy); err != nil {
		return r, nil, err
	}
	if err := o.environment(&r, a); err != nil {
		return r, nil, err
	}
	for _, name := range o.secrets {
		value, _ := a.lookupEnv(name)
		if note := shortSecret(name, value); note != "" {
			notes = append(notes, note)
		}
	}
	return r, notes, nil
}

// network decides which hosts the command may reach.
func (o *execOptions) network(r *executor.Request, file executor.PolicyFile) (notes []string, err error) {
	p := &r.Policy
	if o.egress != "" {
		p.Egress.Mode = egress.Mode(o.egress)
	}
	if p.Egress.Mode == egress.ModeLearn && len(o.secrets) > 0 {
		return nil, failure{Code: "usage.argument", What: "a run that learns lets everything out, so it gets no secrets", Fix: "leave out --secret, or --egress learn"}
	}
	p.Offline = o.offline
	if o.noNetwork && o.offline {
		return nil, contradiction("--no-network", "--offline")
	}
	if o.noNetwork {
		// A variable or a file sets what is usual; only two flags contradict.
		for _, other := range []string{"allow", "egress"} {
			if o.origin["no-network"] == "--no-network" && o.origin[other] == "--"+other {
				return nil, contradiction("--no-network", "--"+other)
			}
		}
		p.NoNetwork, r.Presets, p.Egress.Rules = true, nil, nil
		return nil, nil
	}
	presets, rules, err := parseAllow(splitList(o.allow), o.origin["allow"])
	if err != nil {
		return nil, argument(o.origin["allow"], "", err)
	}
	if o.origin["allow"] != "" && len(presets)+len(rules) == 0 {
		return nil, argument(o.origin["allow"], "", usageError{"names nothing", "to allow nothing: --no-network"})
	}
	for _, x := range rules {
		if n, ok := meantPreset(x.Host); ok {
			notes = append(notes, fmt.Sprintf("%q is taken as a host; did you mean the preset %s?", x.Host, n))
		}
	}
	if o.origin["allow"] == "" && !file.DecidesHosts {
		if preset, ok := egress.PresetOf(program(o.args)); ok {
			o.guessed, r.Guessed = preset, []string{preset}
			presets = append(presets, preset)
			notes = append(notes, fmt.Sprintf("allowing %s (preset of %s); to allow other hosts: --allow %s,HOST", preset, filepath.Base(program(o.args)), preset))
		}
	}
	for _, preset := range presets {
		if !slices.Contains(r.Presets, preset) {
			r.Presets = append(r.Presets, preset)
		}
	}
	p.Egress.Rules = append(slices.Clone(p.Egress.Rules), rules...)
	return notes, nil
}

func egressModes() []string {
	return []string{string(egress.ModeDeny), string(egress.ModeAudit), string(egress.ModeLearn)}
}

// program is the one that a command is about: behind sudo, which runs it as it is, the
// first word that is neither an option without a value nor a variable.
func program(args []string) string {
	if filepath.Base(args[0]) != "sudo" {
		return args[0]
	}
	for _, a := range args[1:] {
		switch {
		case slices.Contains([]string{"-n", "-E", "-H", "-nE", "-EH", "--", "--preserve-env", "--non-interactive", "--set-home"}, a):
		case strings.Contains(a, "=") && !strings.HasPrefix(a, "-"):
		default:
			return a
		}
	}
	return args[0]
}

func contradiction(a, b string) error {
	return failure{Code: "usage.argument", What: a + " and " + b + " contradict each other", Fix: "leave one of them out"}
}

func (o *execOptions) limits(p *executor.Policy) (err error) {
	set := func(flag, value string, parse func(string) error) {
		if err == nil && o.origin[flag] != "" {
			if e := parse(value); e != nil {
				err = argument(o.origin[flag], value, e)
			}
		}
	}
	set("memory", o.memory, func(s string) (err error) { p.Limits.MemoryBytes, err = executor.ParseMemory(s); return err })
	set("cpus", o.cpus, func(s string) (err error) { p.Limits.CPUs, err = executor.ParseCPUs(s); return err })
	set("pids", o.pids, func(s string) (err error) { p.Limits.Pids, err = executor.ParsePids(s); return err })
	set("timeout", o.timeout, func(s string) (err error) { p.Limits.Wall, err = executor.ParseWall(s); return err })
	return err
}

// files sets what the command sees of this machine's files.
func (o *execOptions) files(p *executor.Policy) error {
	if o.profile != "" {
		p.Profile = o.profile
	}
	if o.rootfs != "" {
		path, err := realPath(o.rootfs)
		if err == nil {
			if fi, e := os.Stat(path); e == nil && !fi.IsDir() {
				err = usageError{"is not a folder", ""}
			} else if path == "/" {
				err = usageError{"is this machine's root", "leave --rootfs out to use this machine's tools, read-only"}
			}
		}
		if err != nil {
			return argument(o.origin["rootfs"], o.rootfs, err)
		}
		p.Rootfs = path
	}
	layers, err := parseLayers(splitList(o.allowMissing))
	if err != nil {
		return argument(o.origin["allow-missing"], "", err)
	}
	for _, l := range layers {
		if !slices.Contains(p.AllowMissing, l) {
			p.AllowMissing = append(p.AllowMissing, l)
		}
	}
	for _, s := range o.mounts {
		m, err := parseMount(s)
		if err != nil {
			return argument("--mount", s, err)
		}
		if slices.ContainsFunc(p.Mounts, func(n sandbox.Mount) bool { return n.Target == m.Target }) {
			return argument("--mount", s, usageError{"two mounts at " + m.Target, ""})
		}
		p.Mounts = append(p.Mounts, m)
	}
	for _, w := range o.write {
		if !filepath.IsLocal(w) {
			return argument("--write", w, usageError{"want a path below the workspace", "--write .git"})
		}
		if w = filepath.Clean(w); !slices.Contains(p.Write, w) {
			p.Write = append(p.Write, w)
		}
	}
	p.Diff = o.diff
	p.Ephemeral = o.ephemeral || o.diff
	p.NoCanaries = p.NoCanaries || o.noCanaries
	return nil
}

// environment gathers the command's variables; a later one wins.
func (o *execOptions) environment(r *executor.Request, a app) error {
	var env []string
	for _, name := range o.envFiles {
		kvs, err := readEnvFile(name, a.lookupEnv)
		if err != nil {
			return argument("--env-file", name, err)
		}
		env = append(env, kvs...)
	}
	for _, s := range o.env {
		kv, ok, err := parseEnv(s, a.lookupEnv)
		if err != nil {
			key, _, _ := strings.Cut(s, "=")
			return argument("--env", key, err) // without the value: it may be a secret
		}
		if ok {
			env = append(env, kv)
		}
	}
	for _, key := range o.secrets {
		name, _, hasValue := strings.Cut(key, "=")
		if hasValue {
			return argument("--secret", name, usageError{
				"takes a name, not a value: every user of the machine sees arguments",
				"export " + quoteShell(name) + "=…; zviz-runner exec --secret " + quoteShell(name) + " …",
			})
		}
		if err := checkEnvName(key); err != nil {
			return argument("--secret", key, err)
		}
		value, ok := a.lookupEnv(key)
		if !ok {
			return failure{Code: "secret.missing", What: fmt.Sprintf("--secret %s: the variable is not set", key), Fix: "export " + quoteShell(key) + "=…"}
		}
		env = append(env, key+"="+value)
		if value != "" {
			r.Secrets = append(r.Secrets, value)
		}
	}
	r.Env = lastWins(env)
	return nil
}

// lastWins drops variables that a later one sets again.
func lastWins(env []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, kv := range slices.Backward(env) {
		if key, _, _ := strings.Cut(kv, "="); !seen[key] {
			seen[key] = true
			out = append(out, kv)
		}
	}
	slices.Reverse(out)
	return out
}
