// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zviz/run/cmd/zviz-runner/internal/runview"
	"github.com/zviz/run/internal/spell"
)

// helpCommand replaces cobra's, which exits 0 for a topic that does not exist.
func (a app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND... | TOPIC]",
		Short:   "Print help about a command or a topic",
		GroupID: "look",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, d cobra.ShellCompDirective) {
			at := cmd.Root()
			for _, name := range args {
				if at = commandOf(at, name); at == nil {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
			}
			for _, c := range at.Commands() {
				if !c.Hidden {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			at := cmd.Root()
			for i, name := range args {
				c := commandOf(at, name)
				if c == nil {
					return noHelp(at, args[:i], name)
				}
				at = c
			}
			return at.Help()
		},
	}
}

// commandOf is the command of cmd with that name; nil for none.
func commandOf(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name && !c.Hidden {
			return c
		}
	}
	return nil
}

// noHelp is the error for a word that is nothing that at has help on; before are the words
// that led there.
func noHelp(at *cobra.Command, before []string, name string) error {
	var names []string
	for _, c := range at.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	help := strings.Join(append([]string{"zviz-runner help"}, before...), " ")
	f := failure{Code: "usage.argument", What: fmt.Sprintf("no help on %q", strings.Join(append(before, name), " ")), Fix: help, Exit: exitUsage}
	if n, ok := spell.Nearest(name, names); ok {
		f.What += fmt.Sprintf(", did you mean %q?", n)
		f.Fix = help + " " + n
	}
	return f
}

// helpTopics are commands that do nothing: cobra lists them apart and prints
// their text.
func helpTopics() []*cobra.Command {
	topic := func(name, short, long string) *cobra.Command {
		c := &cobra.Command{Use: name, Short: short, Long: long}
		// Not by a template: with text/template in it the linker keeps every method of
		// every type, and the program starts later.
		c.SetHelpFunc(func(c *cobra.Command, _ []string) { _, _ = fmt.Fprintln(c.OutOrStdout(), c.Long) })
		return c
	}
	return []*cobra.Command{
		topic("exit-codes", "Exit codes and error codes", helpExitCodes),
		topic("environment", "Variables that are read, and those a command gets", helpEnvironment),
		topic("policy", "What a command may reach, and the policy file", helpPolicy),
		topic("run-output", "What a run prints, and its JSON lines", runview.Help),
	}
}

const helpExitCodes = `Exit codes of exec
  0-123   the command's own
  124     --timeout ran out
  125     zviz-runner failed and the command did not run: a bad flag, a layer that
          this machine lacks, a bad policy file; also a report, or output of the
          command, that cannot be written
  126     the command was found but cannot be executed
  127     the command was not found
  128+n   the command was killed by signal n; 137 also when it hit the memory limit
  130     after Ctrl-C (143 after SIGTERM, 129 after SIGHUP, 131 after SIGQUIT)
  1       also: the command succeeded, but something was denied that the policy does not
          expect, with --strict-egress; or on_deny of the policy file ended it
Whether a 124-127 was ours or the command's own is "cause" in the report. Without
--strict-egress a denied connection changes nothing: the command decides.

Exit codes of the other commands
  0       done
  1       the check, or the run, failed; egress check: denied
  2       bad flag, argument or file
  124     run: a job was ended by --timeout
  125     run: a sandbox could not be made, or another error of ours; else a bug of ours
  128+n   run, doctor --attack: after signal n

Error codes
With --json an error is one line on standard error:
  {"error":{"code":"layer.unavailable","what":"...","why":"...","fix":"...","layer":"landlock","exit":125}}
The codes are stable; new ones are added.
  usage.command         no such command
  usage.flag            no such flag, or a flag without its value
  usage.argument        an argument, or the value of a flag, is wrong
  policy.unreadable     the policy file cannot be read
  policy.invalid        the policy file has an error
  workspace.refused     this folder cannot be a workspace
  state.unusable        the folder for our own state cannot be used
  cache.unusable        a folder of the cache cannot be used
  cache.fetch           cache tool: the tool cannot be fetched
  secret.missing        --secret names a variable that is not set
  report.unwritable     the report cannot be written
  output.unwritable     125: what the command printed, or a policy that was learned,
                        cannot be written
  canary.found          1: a credential that was planted in the command's home turned up
                        in what it sent or printed; it was ended
  report.untrusted      1: a report is not what report --provenance, --key or
                        --require-complete want
  layer.unavailable     an isolation layer could not be applied; "layer" names it
  command.not_found     127: no such command in the sandbox
  command.not_executable  126: it is there, but cannot be executed
  command.not_started   125: it could not be started for another reason
  egress.denied         something was denied, with --strict-egress or on_deny
  expression.invalid    an expression has an error
  workflow.invalid      1: a workflow file has an error
  run.not_started       1: the event starts no workflow
  run.failed            anything else
  internal.bug          a bug of ours`

const helpEnvironment = `Variables that zviz-runner reads
A flag wins over its variable, a variable over the policy file.
  ZVIZ_ALLOW, ZVIZ_ALLOW_MISSING      as the flags; lists with commas
  ZVIZ_EGRESS, ZVIZ_NO_NETWORK, ZVIZ_STRICT_EGRESS, ZVIZ_NO_CANARIES,
  ZVIZ_NO_REPO_POLICY
  ZVIZ_POLICY, ZVIZ_PROFILE, ZVIZ_ROOTFS
  ZVIZ_MEMORY, ZVIZ_CPUS, ZVIZ_PIDS, ZVIZ_TIMEOUT
  ZVIZ_PROGRESS, ZVIZ_COLOR
  ZVIZ_STATE_DIR      where locks and what a killed run left are kept (default
                      /var/lib/zviz for root, else $XDG_STATE_HOME/zviz)
  ZVIZ_CACHE_DIR      where what can be fetched again is kept (default
                      /var/cache/zviz for root, else $XDG_CACHE_HOME/zviz)
  XDG_CONFIG_HOME     the policy file is $XDG_CONFIG_HOME/zviz/policy.yml,
                      else /etc/zviz/policy.yml
  HTTPS_PROXY, HTTP_PROXY, NO_PROXY       how zviz-runner itself reaches the outside
                      (also in lower case); egress.upstream of the policy file wins
  SSL_CERT_FILE       certificates that it trusts in the place of the system's
  NO_COLOR, CLICOLOR_FORCE, TERM, CI      colour and progress
  HOME, PATH          to find tools and their configuration

Variables that a command gets
PATH (without what lies below your home, but for the tools there), HOME, LANG,
TERM, CI, TMPDIR=/tmp, ASAN_OPTIONS=detect_leaks=0 (a leak check traces, which
no command may), what finds the versions of a tool manager (NVM_DIR), those that name the certificates and registries of the job's network,
and what -e, --env-file and --secret give. Nothing else.`

const helpPolicy = `What a command may reach
Nothing, but for what is allowed. --allow takes presets and hosts:
  --allow npm                     the registry that npm is configured for here;
                                  reading only, publishing is refused
  --allow api.example.com         ports 443 and 80
  --allow api.example.com:8443    this port
  --allow '*.example.com'         names below example.com, not itself
Presets: cargo, debian, gitea, github, gitlab, go, gradle, maven, npm, nuget, oci,
pnpm, pypi, rubygems, yarn. Your own tools and their configuration say, outside of
the workspace, which hosts they use; credentials there are put in on the way out.

Without --allow, the command decides: npm, yarn, pnpm, go, cargo, gradle get the
preset of their name; npx npm; pip and uv pypi; apt-get debian; mvn maven; gem and
bundle rubygems; dotnet nuget; docker, podman, skopeo and crane oci; gh github;
glab gitlab; tea gitea; others get nothing. exec says so in one line. --allow takes
the place of that preset. --no-network takes away even names; --egress audit lets
everything through and reports it, and learn does so without secrets and prints the
smallest policy that would have done.

  zviz-runner egress check URL     would it be allowed?
  zviz-runner egress explain       what is in force, and where it was written
  zviz-runner egress learn -- CMD  a policy from a run
  zviz-runner egress import FILE   a policy from another tool's list

The policy file
--policy FILE, else $XDG_CONFIG_HOME/zviz/policy.yml, else /etc/zviz/policy.yml.
It is the operator's. A file .zviz.yml at the top of the workspace can only narrow
it: of egress its mode, presets, allow, deny, limits, npm and packages. exec says
so in one line; --no-repo-policy leaves it unread.
  version: 1
  egress:
    mode: deny                      # or audit, learn
    presets: [npm, go]
    allow:
      - api.example.com:8443
      - host: git.example.com
        methods: [GET, POST]        # needs TLS to end at the gateway
        paths: ["/acme/*/info/refs", "/acme/*/git-upload-pack"]
      - host: "*.pkg.example.com"
        max_names: 16
      - host: npm.corp.example.com  # a credential that the job never holds
        inject: {header: Authorization, value_from: "env:CORP_TOKEN", scheme: Bearer}
      - host: db.example.com
        ports: [5432]
        protocol: tcp               # opaque
        private: true               # may be at a private address
    deny: [tracker.example.com]     # wins over every allow
    on_deny: fail-job               # or fail-request, fail-step
    expect_denied: [telemetry.example.com]
    npm: {min_release_age: 7d, lockfile_only: true, block: ["left@>=1.1.0"]}
                                    # and prebuilt: [{url: https://..., sha256: ...}]
    limits: {up_bytes_per_host: 1MiB, misses: 50}
  canaries: true                    # fake credentials in the home
  limits: {memory: 2g, cpus: 2, pids: 512, timeout: 30m, open_files: 4096}
  profile: ci                       # or hostile
A key that is not known is an error. Hosts of --allow are added to those of the
file. docs/policy.md describes every key.`
