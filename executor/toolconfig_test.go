// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/egress"
)

// TestToolEnv: the sandbox that asks tools knows which credentials are set, and none
// of them.
func TestToolEnv(t *testing.T) {
	x := &Executor{cfg: Config{Home: "/home/op", Environ: []string{
		"CARGO_REGISTRIES_CORP_TOKEN=s3cr3t", "CARGO_REGISTRIES_CORP_INDEX=sparse+https://corp.test/", "npm_config__authToken=s3cr3t", "YARN_NPM_AUTH_IDENT=s3cr3t",
		"REGISTRY_AUTH_FILE=/run/op/auth.json", "GH_TOKEN=s3cr3t", "AWS_SECRET_ACCESS_KEY=s3cr3t", "GH_HOST=ghe.test", "HOME=/root", "CARGO_HTTP_PROXY=",
	}}}
	want := []string{
		"CARGO_REGISTRIES_CORP_INDEX=sparse+https://corp.test/", "CARGO_REGISTRIES_CORP_TOKEN=" + egress.Placeholder, "GH_HOST=ghe.test",
		"REGISTRY_AUTH_FILE=/run/op/auth.json", "YARN_NPM_AUTH_IDENT=" + egress.Placeholder, "npm_config__authToken=" + egress.Placeholder,
	}
	if diff := cmp.Diff(want, x.toolEnv()); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

// TestToolConfig: every preset says what it reads, and a variable leads elsewhere.
func TestToolConfig(t *testing.T) {
	x := &Executor{cfg: Config{Home: "/home/op", Environ: []string{"CARGO_HOME=/srv/cargo", "DOCKER_CONFIG=relative", "REGISTRY_AUTH_FILE=/run/op/auth.json"}}}
	for _, preset := range egress.Presets() {
		if len(x.toolConfig(preset)) == 0 {
			t.Errorf("%s reads nothing, so a change of its configuration is not seen", preset)
		}
	}
	for preset, file := range map[string]string{"cargo": "/srv/cargo/credentials.toml", "oci": "/home/op/.docker/config.json", "maven": "/home/op/.m2/settings.xml"} {
		if got := x.toolConfig(preset); !slices.Contains(got, file) {
			t.Errorf("%s reads %q, not %s", preset, got, file)
		}
	}
	if !slices.Contains(x.toolConfig("oci"), "/run/op/auth.json") {
		t.Error("REGISTRY_AUTH_FILE is not read")
	}
}
