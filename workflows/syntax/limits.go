// SPDX-License-Identifier: Apache-2.0

package syntax

import "unicode/utf8"

// Limits bound what a file may cost. Zero means GitHub's number.
type Limits struct {
	MaxFileSize    int // characters of a file: 1 MiB
	MaxFiles       int // different files that are read, the callers too: 51
	MaxDepth       int // sequences and mappings in each other: 50
	MaxResultSize  int // bytes by GitHub's count, over all files: 10 MiB
	MaxNodes       int // YAML events of a file, aliases replayed: 50,000
	MaxEvents      int // values read, over all files: 1,000,000
	MaxErrors      int // 10
	MaxErrorLength int // characters of a message: 500
}

func (l Limits) orDefaults() Limits {
	set := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	set(&l.MaxFileSize, 1<<20)
	set(&l.MaxFiles, 51)
	set(&l.MaxDepth, 50)
	set(&l.MaxResultSize, 10<<20)
	set(&l.MaxNodes, 50_000)
	set(&l.MaxEvents, 1_000_000)
	set(&l.MaxErrors, 10)
	set(&l.MaxErrorLength, 500)
	return l
}

// The sizes by which GitHub estimates what an object takes (TemplateMemory.cs).
const (
	objectBytes = 24
	stringBytes = 26
)

// memory counts what has been read, as GitHub does: a limit of theirs holds at the
// same file here.
type memory struct {
	limits              Limits
	bytes, depth, event int
}

func (m *memory) add(bytes int) error {
	if m.bytes += bytes; m.bytes > m.limits.MaxResultSize {
		return stop{message: "Maximum object size exceeded"}
	}
	return nil
}

func (m *memory) addText(s string) error { return m.add(textBytes(s)) }

func (m *memory) addToken(t *Token) error {
	n := objectBytes
	if t.Kind == String || t.Kind == Expression {
		n += textBytes(t.Text)
	}
	return m.add(n)
}

func (m *memory) down() error {
	if m.depth++; m.depth > m.limits.MaxDepth {
		return stop{message: "Maximum object depth exceeded"}
	}
	return nil
}

func (m *memory) up() { m.depth-- }

func (m *memory) value() error {
	if m.event++; m.event > m.limits.MaxEvents {
		return stop{message: "Maximum events exceeded while evaluating the template. This may indicate an infinite loop or too many nested loops."}
	}
	return nil
}

func textBytes(s string) int { return stringBytes + 2*units(s) }

// units is the length in UTF-16 units, in which GitHub counts.
func units(s string) int {
	n := len(s)
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			break
		}
		if i == len(s)-1 {
			return n
		}
	}
	n = 0
	for _, r := range s {
		if n++; r > 0xFFFF {
			n++
		}
	}
	return n
}
