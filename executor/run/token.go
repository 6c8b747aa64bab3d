// SPDX-License-Identifier: Apache-2.0

package run

import (
	"crypto/rand"
	"net/url"
	"slices"
	"strings"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/workflows"
)

// tokenCredential is the name of the forge's token among the credentials of a cell.
const tokenCredential = "github.token"

// placeholder is what a job has in the place of the token: of the form of GitHub's, so
// that clients which look at it are content.
func placeholder() string {
	s := strings.ToLower(rand.Text() + rand.Text())
	return "ghs_" + s[:36]
}

// scopePaths are the paths of a repository in GitHub's API, after /repos/OWNER/NAME, that
// reading in a scope of permissions is for (docs, "Permissions required for GitHub
// Apps", repository permissions).
func scopePaths() map[string][]string {
	return map[string][]string{
		"actions":      {"/actions/**", "/environments/**"},
		"attestations": {"/attestations/**"},
		"checks":       {"/check-runs/**", "/check-suites/**", "/commits/*/check-runs", "/commits/*/check-suites"},
		"contents": {
			"/branches/**", "/codeowners/**", "/comments/**", "/commits", "/commits/*", "/commits/*/comments", "/compare/**", "/contents/**",
			"/git/**", "/readme/**", "/releases/**", "/tarball/**", "/zipball/**",
		},
		"deployments":          {"/deployments/**"},
		"issues":               {"/assignees/**", "/issues/**", "/labels/**", "/milestones/**"},
		"pages":                {"/pages/**"},
		"pull-requests":        {"/pulls/**", "/commits/*/pulls"},
		"security-events":      {"/code-scanning/**", "/security-advisories/**"},
		"statuses":             {"/commits/*/status", "/commits/*/statuses", "/statuses/**"},
		"vulnerability-alerts": {"/dependabot/**"},
	}
}

// metadataPaths are those that every token may read.
func metadataPaths() []string {
	return []string{"", "/languages", "/topics", "/contributors", "/tags", "/license", "/stargazers", "/subscribers", "/forks", "/events", "/activity"}
}

// apiPaths are those below base that permissions let a token read.
func apiPaths(base string, p *workflows.Permissions) []string {
	if p == nil {
		return []string{base, base + "/**"}
	}
	paths := metadataPaths()
	for scope, of := range scopePaths() {
		if reads(p, scope) {
			paths = append(paths, of...)
		}
	}
	for i, path := range paths {
		paths[i] = base + path
		if bare, all := strings.CutSuffix(path, "/**"); all {
			paths = append(paths, base+bare)
		}
	}
	slices.Sort(paths)
	return paths
}

// reads reports whether permissions let a token read in a scope; nil is no word about
// them.
func reads(p *workflows.Permissions, scope string) bool {
	return p == nil || p.Level(scope) == workflows.LevelRead || p.Level(scope) == workflows.LevelWrite
}

// tokenRules let a job read its own repository with the token that it does not hold, as
// far as its permissions go. Writing needs a rule of the operator's.
func tokenRules(r Repository, placeholder string, permissions *workflows.Permissions) []egress.Rule {
	u, err := url.Parse(r.Server)
	if err != nil || u.Scheme != "https" {
		return nil // a credential goes by TLS only
	}
	inject := &egress.Inject{Header: "Authorization", ValueFrom: "job:" + tokenCredential, Placeholder: placeholder}
	base := strings.TrimSuffix(u.Path, "/") + "/" + r.Name
	rule := func(host string, methods []string, paths ...string) egress.Rule {
		return egress.Rule{Host: host, TLS: egress.TLSTerminate, Methods: methods, Paths: paths, Inject: inject, Origin: "the token of the run's own repository"}
	}
	read := []string{"GET", "HEAD"}
	var rules []egress.Rule
	if reads(permissions, "contents") {
		rules = append(rules,
			rule(u.Hostname(), read, base, base+"/**", base+".git/**"),
			rule(u.Hostname(), []string{"POST"}, base+"/git-upload-pack", base+".git/git-upload-pack"))
	}
	if u.Hostname() == "github.com" {
		return append(rules, rule("api.github.com", read, apiPaths("/repos/"+r.Name, permissions)...))
	}
	return append(rules, rule(u.Hostname(), read, append(apiPaths("/api/v1/repos/"+r.Name, permissions), apiPaths("/api/v3/repos/"+r.Name, permissions)...)...))
}
