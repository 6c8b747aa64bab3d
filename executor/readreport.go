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
// this version does not know are ignored: a later one may have added them. stored is
// what was read, and of JSON lines the last one.
func ReadReport(in io.Reader) (r Report, stored []byte, err error) {
	data, err := io.ReadAll(io.LimitReader(in, reportMost+1))
	if err != nil {
		return r, nil, err
	}
	if len(data) > reportMost {
		return r, nil, fmt.Errorf("larger than %d MiB", reportMost>>20)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		// JSON lines are no JSON value, but each line is one.
		lines := bytes.TrimSpace(data)
		r, data = Report{}, lines[bytes.LastIndexByte(lines, '\n')+1:]
		if json.Unmarshal(data, &r) != nil {
			return Report{}, nil, fmt.Errorf("is no report: %w", err)
		}
	}
	if r.Schema != ReportSchema {
		return Report{}, nil, errors.New("is no report of this version: its schema is not " + ReportSchema)
	}
	return r, data, nil
}
