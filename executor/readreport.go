// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// reportMost bounds a report that is read: events are bounded to 4 MiB when they are
// recorded, and nothing else in a report is near that.
const reportMost = 64 << 20

// ReadReport reads a report, or the last line of what exec --json printed. Fields that
// this version does not know are ignored: a later one may have added them.
func ReadReport(in io.Reader) (Report, error) {
	var r Report
	data, err := io.ReadAll(io.LimitReader(in, reportMost+1))
	if err != nil {
		return r, err
	}
	if len(data) > reportMost {
		return r, fmt.Errorf("larger than %d MiB", reportMost>>20)
	}
	data = bytes.TrimSpace(data)
	if err := json.Unmarshal(data, &r); err != nil {
		// JSON lines are no JSON value, but each line is one.
		if last := data[bytes.LastIndexByte(data, '\n')+1:]; len(last) == len(data) || json.Unmarshal(last, &r) != nil {
			return Report{}, fmt.Errorf("is no report: %w", err)
		}
	}
	if r.Schema != ReportSchema {
		return Report{}, errors.New("is no report of this version: its schema is not " + ReportSchema)
	}
	return r, nil
}
