// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/action"
)

// mostWorkflow is more than the reader of workflows takes, in bytes.
const mostWorkflow = 4<<20 + 1

// Opener reads called workflows for workflows.Options: those of the own repository from
// its files, others as actions are brought.
func (s *Source) Opener(ctx context.Context, own fs.FS) func(uses string) (string, error) {
	return func(uses string) (string, error) {
		u, err := action.ParseUses(uses)
		if err != nil {
			return "", err
		}
		switch u.Kind {
		case action.Remote:
			repo, err := s.at(ctx, u)
			if errors.Is(err, errNoCache) {
				return "", errors.Join(err, workflows.ErrNotHere)
			}
			if err != nil {
				return "", err
			}
			text, err := readText(repo.files, u.Path, mostWorkflow)
			if err != nil {
				return "", fmt.Errorf("%s: %w", u, err)
			}
			return text, nil
		case action.Local, action.SameRef:
			return readText(own, u.Path, mostWorkflow)
		default:
			return "", fmt.Errorf("%s is no workflow", u)
		}
	}
}
