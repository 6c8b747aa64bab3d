// SPDX-License-Identifier: Apache-2.0

package sandbox

import "context"

// StartEdited starts a command with a program that was changed after it was
// compiled. Layers that a job can never do without have no other way to be
// lifted, and without that no test can show what each of them stops.
func (s *Sandbox) StartEdited(ctx context.Context, cmd *Cmd, edit func(*Program)) (*Process, error) {
	prog, err := Compile(s.spec, *cmd, s.probe)
	if err != nil {
		return nil, err
	}
	edit(&prog)
	return s.start(ctx, prog, cmd)
}
