// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/dsse"
)

// envelopeMost bounds a signed statement: the packages of a run are named in it.
const envelopeMost = 16 << 20

// untrusted is a report that is not what it should be: exit code 1.
func untrusted(format string, args ...any) error {
	return failure{Code: "report.untrusted", What: fmt.Sprintf(format, args...), Exit: exitFailed}
}

// verify looks at what was asked for and says what is known of the report.
func (o *reportOptions) verify(r storedReport) (string, error) {
	var said []string
	if o.provenance != "" {
		more, err := o.origin(r)
		if err != nil {
			return "", err
		}
		said = append(said, more)
	} else if o.key != "" {
		return "", failure{Code: "usage.argument", What: "--key is for --provenance", Fix: "add --provenance FILE", Exit: exitUsage}
	}
	if err := executor.CheckChain(r.data); err != nil {
		if o.provenance != "" || o.complete {
			return "", untrusted("%v", err)
		}
		said = append(said, err.Error())
	} else {
		said = append(said, "the chain of "+ui.Count(len(r.Egress.Events), "decision", "decisions")+" is whole")
	}
	if o.complete && !r.Egress.Complete {
		return "", untrusted("the record of the network is not complete: something opaque left the cell, or decisions were too many to be kept")
	}
	return strings.Join(said, "; "), nil
}

// origin checks the statement about the report, and who signed it if --key says who
// should have.
func (o *reportOptions) origin(r storedReport) (string, error) {
	data, err := readSmall(o.provenance, envelopeMost)
	if err != nil {
		return "", argument("--provenance", o.provenance, cause(err))
	}
	e, err := dsse.Parse(data)
	if err != nil {
		return "", argument("--provenance", o.provenance, err)
	}
	said := "nobody looked who signed it (--key)"
	if o.key != "" {
		if data, err = readSmall(o.key, keyMost); err != nil {
			return "", argument("--key", o.key, cause(err))
		}
		key, err := dsse.ParsePublic(data)
		if err != nil {
			return "", argument("--key", o.key, err)
		}
		if err := e.Verify(key); err != nil {
			return "", untrusted("%s: %v", o.provenance, err)
		}
		id, err := dsse.KeyID(key)
		if err != nil {
			return "", err
		}
		said = "signed by the key " + id[:16]
	}
	if e.PayloadType != dsse.InToto {
		return "", untrusted("%s: holds no in-toto statement", o.provenance)
	}
	s, err := executor.ReadStatement(e.Payload)
	if err != nil {
		return "", untrusted("%s: %v", o.provenance, err)
	}
	sum := sha256.Sum256(r.data)
	if !s.About(hex.EncodeToString(sum[:])) {
		return "", untrusted("%s is about another report: this one was changed, or belongs to another run", o.provenance)
	}
	if s.Predicate.Run.Head != r.Egress.Head || s.Predicate.Run.Complete != r.Egress.Complete {
		return "", untrusted("%s: says other than the report", o.provenance)
	}
	return said, nil
}
