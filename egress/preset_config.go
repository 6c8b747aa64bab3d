// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// configBytesMost bounds one file of a tool's configuration.
const configBytesMost = 1 << 20

// configFile is a file of the operator's configuration.
type configFile struct {
	path string
	data []byte
}

// readConfig returns those of the named files that are there, in their order. A
// name is a word of the shell that asks: it expands what the operator's environment
// says of the place, and patterns.
func readConfig(ctx context.Context, run Runner, words ...string) ([]configFile, error) {
	script := fmt.Sprintf(`for f in %s; do if [ -f "$f" ] && [ -r "$f" ]; then printf '%%s\0' "$f"; head -c %d "$f" | tr -d '\000'; printf '\0'; fi; done`,
		strings.Join(words, " "), configBytesMost+1)
	out, err := run(ctx, []string{"sh", "-c", script})
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return splitConfig(out)
}

// splitConfig reads name, NUL, content, NUL.
func splitConfig(out []byte) ([]configFile, error) {
	if len(out) == 0 {
		return nil, nil
	}
	parts := bytes.Split(bytes.TrimSuffix(out, []byte{0}), []byte{0})
	if len(parts)%2 != 0 {
		return nil, errors.New("read configuration: the answer is cut off")
	}
	var files []configFile
	for i := 0; i < len(parts); i += 2 {
		f := configFile{string(parts[i]), parts[i+1]}
		if len(f.data) > configBytesMost {
			return nil, fmt.Errorf("%s: larger than %d bytes", f.path, configBytesMost)
		}
		files = append(files, f)
	}
	return files, nil
}

// readVariables returns the operator's environment as far as it is about package
// tools. Of a credential it holds the name only, with Placeholder as value.
func readVariables(ctx context.Context, run Runner) map[string]string {
	env := map[string]string{}
	out, err := run(ctx, []string{"env", "-0"})
	if err != nil {
		return env // no such tool, so nothing is known of the environment
	}
	for kv := range strings.SplitSeq(string(out), "\x00") {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	return env
}

// shellWord quotes a text for the shell.
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
