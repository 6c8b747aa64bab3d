// SPDX-License-Identifier: Apache-2.0

package run

import (
	"crypto/rand"
	"net/url"
	"strings"

	"github.com/zviz/run/egress"
)

// tokenCredential is the name of the forge's token among the credentials of a cell.
const tokenCredential = "github.token"

// placeholder is what a job has in the place of the token: of the form of GitHub's, so
// that clients which look at it are content.
func placeholder() string {
	s := strings.ToLower(rand.Text() + rand.Text())
	return "ghs_" + s[:36]
}

// tokenRules let a job read its own repository with the token that it does not hold.
// Writing needs a rule of the operator's.
func tokenRules(r Repository, placeholder string) []egress.Rule {
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
	rules := []egress.Rule{
		rule(u.Hostname(), read, base, base+"/**", base+".git/**"),
		rule(u.Hostname(), []string{"POST"}, base+"/git-upload-pack", base+".git/git-upload-pack"),
	}
	if u.Hostname() == "github.com" {
		return append(rules, rule("api.github.com", read, "/repos/"+r.Name, "/repos/"+r.Name+"/**"))
	}
	return append(rules, rule(u.Hostname(), read, "/api/v1/repos/"+r.Name+"/**", "/api/v3/repos/"+r.Name+"/**"))
}
