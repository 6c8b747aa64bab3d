// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/egress"
)

func TestTellGitHub(t *testing.T) {
	summary := filepath.Join(t.TempDir(), "summary.md")
	must(t, os.WriteFile(summary, []byte("before\n"), 0o600))
	c := newCmdline(t, "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY="+summary)
	row := denied("evil.test", 2)
	row.First = egress.Process{PID: 7, Exe: "/usr/bin/node"}
	row.Wanted = []egress.Wanted{{Package: egress.Package{Pkg: "claimed@1", PkgBy: egress.EvidenceClaimed}, Count: 1}, {Package: egress.Package{Pkg: "proven@1", Script: "install", PkgBy: egress.EvidenceProven}, Count: 1}}
	quiet := denied("known.test", 1)
	quiet.Expected = true
	hostile := denied("a|b`c\n::error::x<img src=y>[l](http://z.test) @all www.z.test \u202e%0A", 1)
	c.exec = returns(withEgress(0, row, quiet, hostile))
	c.run("exec -- npm ci")
	if c.code != 0 || c.out != "" {
		t.Errorf("%d %q", c.code, c.out)
	}
	var annotations []string
	for l := range strings.Lines(c.err) {
		if strings.HasPrefix(l, "::") {
			annotations = append(annotations, l)
		}
	}
	if len(annotations) != 2 || annotations[0] != "::warning::zviz: denied evil.test:443 (host), asked by node, pid 7, install of proven@1 ×2\n" || !strings.HasPrefix(annotations[1], "::warning::") {
		t.Errorf("annotations %q", annotations)
	}
	data, err := os.ReadFile(summary)
	must(t, err)
	text := string(data)
	if !strings.HasPrefix(text, "before\n### ✅ zviz") || !strings.Contains(text, "| 🚫 denied | <code>evil&#46;test&#58;443</code> |") || !strings.Contains(text, "denied, expected") {
		t.Error(text)
	}
	for _, bad := range []string{"<img", "](", "@all", "www.", "http:", "\u202e", "`", "a|b"} {
		if strings.Contains(text, bad) {
			t.Errorf("the summary holds %q:\n%s", bad, text)
		}
	}
}

func TestTellGitHubOnlyThere(t *testing.T) {
	c := newCmdline(t)
	link := filepath.Join(c.root, "link")
	must(t, os.Symlink(c.write("victim", "precious"), link))
	c.env = append(c.env, "GITHUB_STEP_SUMMARY="+link)
	c.exec = returns(withEgress(0, denied("evil.test", 1)))
	if c.run("exec -- x"); strings.Contains(c.err, "::") {
		t.Error(c.err)
	}
	c.env = append(c.env, "GITHUB_ACTIONS=true")
	if c.run("exec -- x"); !strings.Contains(c.err, "::warning::") || !strings.Contains(c.err, "could have put a link there") {
		t.Error(c.err)
	}
	if data, _ := os.ReadFile(filepath.Join(c.root, "victim")); string(data) != "precious" {
		t.Errorf("the victim is now %q", data)
	}
	c.env = append(c.env[:len(c.env)-2], "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY=/proc/no/such")
	if c.run("exec -- x"); c.code != 0 || !strings.Contains(c.err, "cannot tell GitHub") {
		t.Errorf("%d %s", c.code, c.err)
	}
}
