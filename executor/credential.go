// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// maxCredentialBytes bounds the file that egress.allow[].inject reads, and
// maxConfigBytes a tool's configuration.
const (
	maxCredentialBytes = 16 << 10
	maxConfigBytes     = 1 << 20
)

// credential reads what value_from of a rule names: "env:NAME", a variable of the
// operator's environment, "file:/PATH", which must not lie where the job reads, or a
// place in a tool's configuration, for which the same holds.
func (x *Executor) credential(from string, mounts []sandbox.Mount) (string, error) {
	kind, name, _ := strings.Cut(from, ":")
	if kind == "env" {
		value := x.environ(name)
		if value == "" {
			return "", hinted{"the variable " + name + " is not set", "export " + name + "=…"}
		}
		return value, nil
	}
	format, key, file, inConfig := egress.ConfigSource(from)
	most := maxCredentialBytes
	if inConfig {
		name, most = file, maxConfigBytes
	}
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", plain(err)
	}
	for _, m := range mounts {
		if below(m.Source, path) {
			return "", hinted{"the file lies in " + m.Source + ", which the job sees", "keep it outside of the workspace and of every --mount"}
		}
	}
	data, err := readRegular(path, most)
	if err != nil {
		return "", plain(err)
	}
	if len(data) == 0 {
		return "", errors.New("the file is empty")
	}
	if inConfig {
		return egress.ConfigCredential(format, key, data, x.environ)
	}
	return string(data), nil
}
