// SPDX-License-Identifier: Apache-2.0

package results

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Which blocks an entry of a list means.
const (
	latest = iota
	committed
	uncommitted
)

// blockRef names a block in a list.
type blockRef struct {
	id   string
	from int
}

const (
	blockListMost = 8 << 20 // bytes of a list
	blockIDMost   = 64      // bytes, before base64; Azure's limit
)

// checkBlockID refuses what Azure refuses. What is in an id is the client's affair.
func checkBlockID(id string) error {
	b, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(b) == 0 || len(b) > blockIDMost {
		return fmt.Errorf("%.100q is no id of a block", id)
	}
	return nil
}

// parseBlockList reads the body of Put Block List: XML with a root of one level. It
// stops at the first thing that does not belong there, so that nesting costs nothing.
func parseBlockList(r io.Reader) ([]blockRef, error) {
	d := xml.NewDecoder(r)
	var (
		list  []blockRef
		depth int
		entry blockRef
		text  strings.Builder
	)
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && depth == 0 && list != nil {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list of blocks: %w", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth == 0 && t.Name.Local == "BlockList" && list == nil {
				list = []blockRef{}
				depth++
				continue
			}
			from, ok := map[string]int{"Latest": latest, "Committed": committed, "Uncommitted": uncommitted}[t.Name.Local]
			if depth != 1 || !ok {
				return nil, fmt.Errorf("list of blocks: unexpected <%.40s>", t.Name.Local)
			}
			if len(list) >= blocksMost {
				return nil, fmt.Errorf("list of blocks: more than %d", blocksMost)
			}
			depth++
			entry = blockRef{from: from}
			text.Reset()
		case xml.EndElement:
			depth--
			if depth == 1 {
				entry.id = strings.TrimSpace(text.String())
				if err := checkBlockID(entry.id); err != nil {
					return nil, fmt.Errorf("list of blocks: %w", err)
				}
				list = append(list, entry)
			}
		case xml.CharData:
			if depth == 2 && text.Len()+len(t) <= 1024 {
				text.Write(t)
			} else if depth == 2 {
				return nil, errors.New("list of blocks: an id is too long")
			}
		}
	}
}
