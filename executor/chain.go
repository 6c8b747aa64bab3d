// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/zviz/run/egress"
)

// CheckChain looks whether the events of a report, as it is stored, are those that
// were recorded: each must hold the hash of the one before it, and the report that of
// the last. That alone is no proof, since who changes a report can make the hashes
// anew: it needs a head that is kept apart, as in a signed provenance.
func CheckChain(report []byte) error {
	var r struct {
		ID     string `json:"id"`
		Egress struct {
			Events []json.RawMessage `json:"events"`
			Head   string            `json:"head"`
		} `json:"egress"`
	}
	if err := json.Unmarshal(report, &r); err != nil {
		return err
	}
	if r.Egress.Head == "" {
		return errors.New("the report has no chain")
	}
	prev := egress.ChainStart(r.ID)
	for i, raw := range r.Egress.Events {
		var e struct {
			Prev string `json:"prev"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return err
		}
		if e.Prev != prev {
			return fmt.Errorf("the chain is broken before event %d of %d", i+1, len(r.Egress.Events))
		}
		var err error
		if prev, err = egress.ChainHash(raw); err != nil {
			return err
		}
	}
	if prev != r.Egress.Head {
		return fmt.Errorf("the chain is broken after event %d of %d", len(r.Egress.Events), len(r.Egress.Events))
	}
	return nil
}
