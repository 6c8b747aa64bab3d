// SPDX-License-Identifier: Apache-2.0

package job

import (
	"errors"
	"fmt"
)

// message is an error in GitHub's words, which begin with a capital and end as they
// please.
type message string

func (m message) Error() string { return string(m) }

// says makes a message.
func says(format string, args ...any) error { return message(fmt.Sprintf(format, args...)) }

// explained is an error with what the user can do about it.
func explained(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		return err.Error() + "\nfix: " + h.Hint()
	}
	return err.Error()
}
