// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a file of variables holds, what comes out can be passed to execve,
// and no error quotes a value.
func FuzzReadEnvFile(f *testing.F) {
	for _, s := range []string{"", "A=1\n", "# x\nA\n\r\nB=\r\n", "=x", "A B=secret", "A=\x00secret", "\xff=1", "A=1", "  A=1  ", "export A=1"} {
		f.Add([]byte(s))
	}
	lookup := func(key string) (string, bool) { return "ours", key == "A" }
	name := filepath.Join(f.TempDir(), "env")
	f.Fuzz(func(t *testing.T, data []byte) {
		must(t, os.WriteFile(name, data, 0o600))
		env, err := readEnvFile(name, lookup)
		if err != nil {
			if strings.Contains(err.Error(), "secret") {
				t.Fatal(err)
			}
			return
		}
		for _, kv := range env {
			key, _, ok := strings.Cut(kv, "=")
			if !ok || key == "" || strings.ContainsAny(key, " \t") || strings.ContainsAny(kv, "\x00\n") {
				t.Fatalf("%q", kv)
			}
		}
	})
}

// What quoteShell quotes, a shell reads as it was.
func TestQuoteShell(t *testing.T) {
	for _, s := range []string{"", "plain", "a b", "it's", "$(x)`y`", "a\nb", `\`, "*", "~", "é", "-n", "a;b", "#", "!x", "=x"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quoteShell(s)).Output()
		if s == "-n" {
			continue // printf's own flag
		}
		if err != nil || string(out) != s {
			t.Errorf("%q became %q, %v", s, out, err)
		}
	}
}
