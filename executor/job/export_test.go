// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"time"
)

// RunWith is Run with minutes of another length.
func RunWith(ctx context.Context, q Request, minute time.Duration) (Result, error) {
	r, err := newRunner(q)
	if err != nil {
		return Result{}, err
	}
	r.minute = minute
	return r.run(ctx)
}
