// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/action/lock"
)

// published reads a file of a public repository: from GitHub with ZVIZ_TEST_ONLINE=1, from
// ZVIZ_ACTIONS/owner/repo/path if that folder is given.
func published(t *testing.T, repo, ref, path string) string {
	t.Helper()
	if dir := os.Getenv("ZVIZ_ACTIONS"); dir != "" {
		data, err := os.ReadFile(filepath.Join(dir, repo, path))
		if err != nil {
			t.Skip(err)
		}
		return string(data)
	}
	if os.Getenv("ZVIZ_TEST_ONLINE") != "1" {
		t.Skip("needs the network: set ZVIZ_TEST_ONLINE=1, or ZVIZ_ACTIONS to a folder of owner/repo/path")
	}
	client := http.Client{Timeout: 30 * time.Second}
	res, err := client.Get("https://raw.githubusercontent.com/" + repo + "/" + ref + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", res.Request.URL, res.Status, err)
	}
	return string(data)
}

// TestPublished reads what others have published: manifests must be taken, with nothing to
// warn of.
func TestPublished(t *testing.T) {
	for _, tt := range []struct {
		repo, ref, path string
		kind            action.Kind
		input           string // one that it has
	}{
		{"actions/checkout", "v4", "action.yml", action.Node, "fetch-depth"},
		{"actions/setup-node", "v4", "action.yml", action.Node, "node-version"},
		{"actions/cache", "v4", "action.yml", action.Node, "path"},
		{"actions/cache", "v4", "save/action.yml", action.Node, "key"},
		{"actions/upload-artifact", "v4", "action.yml", action.Node, "retention-days"},
		{"actions/attest-build-provenance", "v2", "action.yml", action.Composite, "subject-path"},
		{"pypa/gh-action-pypi-publish", "v1.8.14", "action.yml", action.Docker, "user"},
		{"docker/login-action", "v3", "action.yml", action.Node, "registry"},
		{"actions-rust-lang/setup-rust-toolchain", "v1", "action.yml", action.Composite, "toolchain"},
		{"dtolnay/rust-toolchain", "master", "action.yml", action.Composite, "toolchain"},
	} {
		t.Run(strings.ReplaceAll(tt.repo+" "+tt.path, "/", "-"), func(t *testing.T) {
			m, problems := action.Parse(tt.path, published(t, tt.repo, tt.ref, tt.path))
			if m == nil || len(problems.Warnings) > 0 {
				t.Fatalf("%v %v", problems.Errors, problems.Warnings)
			}
			if _, ok := m.Input(tt.input); m.Runs.Kind != tt.kind || !ok {
				t.Errorf("kind %s, inputs %v", m.Runs.Kind, m.Inputs)
			}
			if again, problems := action.Parse(tt.path, written(m)); again == nil {
				t.Errorf("written again: %v", problems.Errors)
			}
		})
	}
}

// TestPublishedLocks reads lock files that gh actions-lock wrote, and writes them again.
func TestPublishedLocks(t *testing.T) {
	for repo, ref := range map[string]string{"github/actions-lockfile": "main", "github/gh-actions-lock": "main", "curl/curl-for-win": "main", "casey/just": "master"} {
		t.Run(strings.ReplaceAll(repo, "/", "-"), func(t *testing.T) {
			text := published(t, repo, ref, lock.Path)
			f, errs := lock.Parse(lock.Path, text)
			if len(errs) > 0 {
				t.Fatal(errs[0])
			}
			if got, want := uncommented(f.Format()), uncommented(text); got != want {
				t.Errorf("written:\n%s\nread:\n%s", got, want)
			}
			for _, w := range f.Workflows {
				locked, _ := f.Workflow(w.Path)
				for _, key := range w.Pins {
					u, err := action.ParseUses(key)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := locked.Resolve(u, lock.At{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

func uncommented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}
