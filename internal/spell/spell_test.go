// SPDX-License-Identifier: Apache-2.0

package spell

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"allow", "allow-missing", "policy", "pids", "cpus", "exec", "version", "C"}
	for _, tt := range []struct{ name, in, want string }{
		{"two letters swapped", "allwo", "allow"},
		{"a letter too many", "policyy", "policy"},
		{"a letter missing in a long name", "allow-mising", "allow-missing"},
		{"case", "Policy", "policy"},
		{"short names allow one slip", "pid", "pids"},
		{"nothing near", "network", ""},
		{"not a slip", "docker", ""},
		{"empty", "", ""},
		{"swap in a short name", "excе", ""},
		{"command", "exce", "exec"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := Nearest(tt.in, names); got != tt.want {
				t.Errorf("Nearest(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
