// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"regexp"
	"strings"
)

// Gradle can be asked for its repositories only by running a build, so the ones that
// its documentation names are written here: the portal of plugins
// (docs.gradle.org/current/userguide/plugins.html) and the place of the wrapper's
// distributions (docs.gradle.org/current/userguide/gradle_wrapper.html).
const (
	gradlePlugins       = "https://plugins.gradle.org/m2"
	gradleDistributions = "https://services.gradle.org/distributions"
)

// discoverGradle reads the operator's init scripts as far as they name repositories
// in plain text.
func discoverGradle(ctx context.Context, run Runner) (Preset, error) {
	const home = `"${GRADLE_USER_HOME:-$HOME/.gradle}"`
	files, err := readConfig(ctx, run, home+"/init.gradle", home+"/init.gradle.kts", home+"/init.d/*.gradle", home+"/init.d/*.gradle.kts")
	if err != nil {
		return Preset{}, err
	}
	var p Preset
	p.Java = true
	for _, f := range files {
		for _, u := range parseGradle(f.data) {
			if _, err := p.add(source{url: u, origin: f.path, redirects: true}); err != nil {
				p.note("%v; left out", err)
			}
		}
		p.note("%s: an init script runs as code, so it is not handed to the job; a build that relies on it names the repositories itself", f.path)
	}
	for _, s := range []source{
		{url: mavenCentral, origin: "Gradle's mavenCentral()"},
		{url: gradlePlugins, origin: "Gradle's plugin portal", redirects: true},
		{url: gradleDistributions, origin: "the Gradle wrapper's distributions", redirects: true},
	} {
		if _, err := p.add(s); err != nil {
			return Preset{}, err
		}
	}
	p.note("credentials of Gradle (gradle.properties) belong to no host that can be told; name them with inject in a policy file")
	return p, nil
}

// parseGradle finds URLs of repositories in a script, Groovy or Kotlin: what follows
// url, uri or maven, in quotes and without anything to be worked out in it.
func parseGradle(data []byte) []string {
	var out []string
	for line := range strings.Lines(string(data)) {
		if code, _, ok := strings.Cut(line, "//"); ok && strings.TrimSpace(code) == "" {
			continue
		}
		for _, m := range regexp.MustCompile(`\b(?:url|uri|setUrl|maven)\b[\s=({]*(?:uri\s*\(\s*)?["'](https?://[^"'\s$]+)["']`).FindAllStringSubmatch(line, -1) {
			out = append(out, m[1])
		}
	}
	return out
}
