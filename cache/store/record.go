// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
)

// Record says what a key stands for. It is plain data.
type Record struct {
	Key     string            `json:"key"`               // unique; what is in it is the caller's
	Group   string            `json:"group,omitempty"`   // what it is listed under, such as "npm"
	Name    string            `json:"name,omitempty"`    // for people
	Version string            `json:"version,omitempty"` // for people
	Size    int64             `json:"size"`              // of the content, bytes
	SHA256  Digest            `json:"sha256"`
	Checked []Digest          `json:"checked,omitempty"` // what it was compared with; none for what has no digest
	Stored  time.Time         `json:"stored"`
	Facts   map[string]string `json:"facts,omitempty"` // the caller's

	Used time.Time `json:"-"` // last use, to about ten minutes
}

// recordMost caps a record on disk, bytes.
const recordMost = 64 << 10

// A record on disk is a line with the sha256 of the rest, then JSON.
func (r Record) encode() ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	all := append([]byte(hex.EncodeToString(sum[:])+"\n"), body...)
	if len(all) > recordMost {
		return nil, errors.New("record is too large")
	}
	return all, nil
}

var errBadRecord = errors.New("record is damaged")

func decodeRecord(b []byte) (Record, error) {
	line, body, ok := bytes.Cut(b, []byte("\n"))
	sum := sha256.Sum256(body)
	if !ok || string(line) != hex.EncodeToString(sum[:]) {
		return Record{}, errBadRecord
	}
	var r Record
	if err := json.Unmarshal(body, &r); err != nil {
		return Record{}, errBadRecord
	}
	if _, err := ParseDigest(string(r.SHA256)); err != nil || r.SHA256.Algorithm() != SHA256 {
		return Record{}, errBadRecord
	}
	return r, nil
}

func indexPath(key string) string {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	return "index/" + name[:2] + "/" + name
}

func blobPath(d Digest) string { return "blobs/sha256/" + d.Value()[:2] + "/" + d.Value() }
