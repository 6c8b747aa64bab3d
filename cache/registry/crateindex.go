// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"github.com/zviz/run/cache/store"
)

// crateLine is a line of an index (the Cargo book, "Index format"). Newer
// indexes have the time of publication.
type crateLine struct {
	Name    string `json:"name"`
	Vers    string `json:"vers"`
	Cksum   string `json:"cksum"`
	Pubtime string `json:"pubtime"`
}

// ParseCrate reads the file of a crate in a sparse index.
func ParseCrate(r io.Reader) (Package, error) {
	p := Package{Ecosystem: Cargo}
	err := lines(r, func(line []byte) error {
		c, err := parseCrateLine(line)
		if err != nil {
			return err
		}
		if len(p.Versions) == versionsMost {
			return ErrTooLarge
		}
		p.Name = c.Name
		v := Version{Version: c.Vers, Published: parseTime(c.Pubtime)}
		if d, err := store.NewDigest(store.SHA256, c.Cksum); err == nil {
			v.Digests = []store.Digest{d}
		}
		p.Versions = append(p.Versions, v)
		return nil
	})
	if err != nil {
		return Package{}, parseError("crate index", err)
	}
	return p, nil
}

func parseCrateLine(line []byte) (crateLine, error) {
	var c crateLine
	return c, json.Unmarshal(line, &c)
}

// RewriteCrate copies the file of a crate without the versions that hide names.
func RewriteCrate(w io.Writer, r io.Reader, hide map[string]bool) error {
	err := lines(r, func(line []byte) error {
		c, err := parseCrateLine(line)
		if err != nil || hide[c.Vers] {
			return err
		}
		_, err = w.Write(append(bytes.Clone(line), '\n'))
		return err
	})
	return parseError("crate index", err)
}

// lines calls each with every line that is not empty.
func lines(r io.Reader, each func([]byte) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), versionMost)
	for s.Scan() {
		if line := bytes.TrimSpace(s.Bytes()); len(line) > 0 {
			if err := each(line); err != nil {
				return err
			}
		}
	}
	return s.Err()
}
