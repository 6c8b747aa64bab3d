// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"unicode/utf8"
)

// ChainStart is what stands in Prev of the first event of a job.
func ChainStart(job string) string {
	sum := sha256.Sum256([]byte("zviz.run/egress/v1 " + job))
	return hex.EncodeToString(sum[:])
}

// Link puts the event behind the one that prev is the hash of, and returns its own:
// SHA-256, in hex, of its canonical JSON (RFC 8785). Whoever keeps the last hash apart
// can tell later that no event was changed, added, left out or moved.
func (e *Event) Link(prev string) (hash string, err error) {
	e.Prev = prev
	data, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	return ChainHash(data)
}

// ChainHash is the hash of an event as it stands in a report, with fields that this
// version does not know.
func ChainHash(event []byte) (string, error) {
	d := json.NewDecoder(bytes.NewReader(event))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("more than one value")
	}
	sum := sha256.Sum256(appendCanonical(nil, v))
	return hex.EncodeToString(sum[:]), nil
}

// appendCanonical appends JSON in the form of RFC 8785, as far as reports use JSON: names are
// ASCII and numbers are integers. The package jcs that does all of it costs each start
// 65 µs of init.
func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		b = append(b, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = appendCanonical(b, v[k])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, x)
		}
		return append(b, ']')
	case string:
		return appendString(b, v)
	case json.Number:
		return append(b, v...)
	case bool:
		if v {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	default:
		return append(b, "null"...)
	}
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s { // encoding/json made it valid UTF-8
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r < 0x20:
			b = append(b, `\u00`...)
			b = hex.AppendEncode(b, []byte{byte(r)})
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
