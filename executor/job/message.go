// SPDX-License-Identifier: Apache-2.0

package job

import "fmt"

// message is an error in GitHub's words, which begin with a capital and end as they
// please.
type message string

func (m message) Error() string { return string(m) }

// says makes a message.
func says(format string, args ...any) error { return message(fmt.Sprintf(format, args...)) }
