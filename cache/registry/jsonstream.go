// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// object reads a JSON object member by member; each reads the member's value.
func object(d *json.Decoder, each func(key string) error) error {
	if err := delimiter(d, '{'); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return errors.New("key is no text")
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return delimiter(d, '}')
}

// array reads a JSON array element by element.
func array(d *json.Decoder, each func() error) error {
	if err := delimiter(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := each(); err != nil {
			return err
		}
	}
	return delimiter(d, ']')
}

func delimiter(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("at byte %d: want %v, got %.40v", d.InputOffset(), want, t)
	}
	return nil
}

// skip reads a value and forgets it, without keeping it whole.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// value reads one value of bounded size.
func value(d *json.Decoder) (json.RawMessage, error) {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	if len(raw) > versionMost {
		return nil, ErrTooLarge
	}
	return raw, nil
}

// end makes sure that nothing follows.
func end(d *json.Decoder) error {
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

// jsonWriter writes the members of nested objects and arrays.
type jsonWriter struct {
	w     *bufio.Writer
	first bool // of what was opened last
	err   error
}

func newJSONWriter(w io.Writer) *jsonWriter { return &jsonWriter{w: bufio.NewWriterSize(w, 64<<10)} }

func (j *jsonWriter) open(c byte) {
	_ = j.w.WriteByte(c) // Flush tells of its errors
	j.first = true
}

func (j *jsonWriter) close(c byte) {
	_ = j.w.WriteByte(c)
	j.first = false
}

func (j *jsonWriter) comma() {
	if !j.first {
		_ = j.w.WriteByte(',')
	}
	j.first = false
}

func (j *jsonWriter) key(k string) {
	j.comma()
	j.plain(k)
	_ = j.w.WriteByte(':')
	j.first = true // no comma before the value
}

// plain writes a value that encoding/json makes.
func (j *jsonWriter) plain(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		j.err = errors.Join(j.err, err)
		return
	}
	j.raw(b)
}

func (j *jsonWriter) raw(b []byte) {
	_, _ = j.w.Write(b)
	j.first = false
}

func (j *jsonWriter) flush() error { return errors.Join(j.err, j.w.Flush()) }
