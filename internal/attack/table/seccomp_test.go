// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each rule is named after whether it is part of the filter: for amd64, a kernel
// 5.10 and CAP_CHOWN.
const profileText = `{
	"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
	"archMap": [
		{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
		{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}
	],
	"syscalls": [
		{"names": ["yes"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["yes, with its argument"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0, "args": [{"index": 0, "value": 7, "op": "SCMP_CMP_EQ"}]},
		{"names": ["yes, our processor"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
		{"names": ["no, another processor"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
		{"names": ["no, not our processor"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
		{"names": ["yes, a capability"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_CHOWN"]}},
		{"names": ["no, one of two capabilities"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_CHOWN", "CAP_BPF"]}},
		{"names": ["no, not with this capability"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_BPF", "CAP_CHOWN"]}},
		{"names": ["yes, this kernel"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "5.10"}},
		{"names": ["no, a newer kernel"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "5.11"}},
		{"names": ["no, before this kernel"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
		{"names": ["yes, before a newer kernel"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "6.0"}}
	]
}`

func TestDockerProfile(t *testing.T) {
	var p dockerProfile
	if err := json.Unmarshal([]byte(profileText), &p); err != nil {
		t.Fatal(err)
	}
	filter, err := p.resolve("amd64", []string{"CAP_CHOWN"}, version{5, 10})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(filter)
	if err != nil {
		t.Fatal(err)
	}
	allow := func(name string) object { return object{"names": []string{name}, "action": "SCMP_ACT_ALLOW"} }
	want, err := json.Marshal(object{
		"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"},
		"syscalls": []object{
			allow("yes"),
			{
				"names": []string{"yes, with its argument"}, "action": "SCMP_ACT_ERRNO", "errnoRet": 0,
				"args": []object{{"index": 0, "value": 7, "op": "SCMP_CMP_EQ"}},
			},
			allow("yes, our processor"), allow("yes, a capability"), allow("yes, this kernel"), allow("yes, before a newer kernel"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Error(d)
	}
}

func TestDockerProfileBad(t *testing.T) {
	for _, text := range []string{"", "{}", `{"defaultAction": "SCMP_ACT_ALLOW"}`, `[]`} {
		file := filepath.Join(t.TempDir(), "profile.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := containerSeccomp(file); err == nil {
			t.Errorf("%q is taken for a profile", text)
		}
	}
	if _, _, err := containerSeccomp(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a file that is not there is taken for a profile")
	}
}
