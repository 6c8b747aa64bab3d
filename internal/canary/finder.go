// SPDX-License-Identifier: Apache-2.0

package canary

import (
	"encoding/base32"
	"encoding/binary"
	"strings"
	"sync"

	"github.com/zviz/run/internal/mask"
)

// Finder finds credentials. It is safe for concurrent use.
type Finder struct {
	exact index // as they are, and in the encodings of package mask
	// names is the same in lower case, and in base32: what a host name can hold. It is
	// made when first needed, since most commands print and few ask for odd names.
	names func() *index
}

// NewFinder makes a finder; it finds nothing if there are no credentials.
func NewFinder(credentials []Credential) *Finder {
	f := &Finder{}
	for _, c := range credentials {
		for _, n := range mask.Needles([]string{c.Value}) {
			f.exact.add(n, c.Name)
		}
	}
	f.names = sync.OnceValue(func() *index {
		x := &index{}
		for _, c := range credentials {
			for _, n := range append(mask.Needles([]string{c.Value}), base32Forms(c.Value)...) {
				x.add(strings.ToLower(n), c.Name)
			}
		}
		return x
	})
	return f
}

// Find returns the name of a credential that is in the text, or nothing.
func (f *Finder) Find(text string) string {
	if f == nil {
		return ""
	}
	return f.exact.find([]byte(text))
}

// FindInName is Find for host names, in which letters lose their case and a value is
// split into labels.
func (f *Finder) FindInName(host string) string {
	if f == nil {
		return ""
	}
	host = strings.ToLower(host)
	if name := f.names().find([]byte(host)); name != "" {
		return name
	}
	return f.names().find([]byte(strings.ReplaceAll(host, ".", "")))
}

// base32Forms returns what of the value's base32 is the same whatever stands around
// it, in lower case.
func base32Forms(v string) []string {
	var out []string
	for shift := range 5 {
		enc := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(append(make([]byte, shift), v...))
		from, to := (shift*8+4)/5, (shift+len(v))*8/5
		out = append(out, strings.ToLower(enc[from:to]))
	}
	return out
}

// Scanner looks for credentials in a stream, also such that are split between two
// writes. It is not safe for concurrent use.
type Scanner struct {
	f    *Finder
	tail []byte
}

// Scanner starts a stream.
func (f *Finder) Scanner() *Scanner { return &Scanner{f: f} }

// Scan returns the name of a credential that ends in p, or nothing.
func (s *Scanner) Scan(p []byte) string {
	keep := s.f.exact.longest - 1
	if keep < 0 {
		return ""
	}
	joint := append(s.tail, p[:min(len(p), keep)]...)
	name := s.f.exact.find(joint)
	if name == "" && len(p) > keep {
		name = s.f.exact.find(p)
		joint = p
	}
	s.tail = append([]byte(nil), joint[max(0, len(joint)-keep):]...)
	return name
}

// stride is how many bytes of a text are gone over at once.
const stride = 4

// index finds texts by four of their first bytes. Those at each of the first places
// are known, so that a text in which something is looked for need be looked at only at
// every fourth byte.
type index struct {
	begins  [1 << 16 / 64]uint64
	needles map[uint32][]needle
	longest int
}

type needle struct {
	text string
	at   int // where in text the four bytes are
	name string
}

func (x *index) add(text, name string) {
	if len(text) < 2*stride {
		return // too short to be told from ordinary text
	}
	if x.needles == nil {
		x.needles = map[uint32][]needle{}
	}
	for at := range stride {
		k := binary.LittleEndian.Uint32([]byte(text[at:]))
		h := hash(k)
		x.begins[h/64] |= 1 << (h % 64)
		x.needles[k] = append(x.needles[k], needle{text, at, name})
	}
	x.longest = max(x.longest, len(text))
}

// hash is Fibonacci hashing into 16 bits.
func hash(k uint32) uint32 { return k * 2654435769 >> 16 }

func (x *index) find(b []byte) string {
	for i := 0; i+stride <= len(b); i += stride {
		k := binary.LittleEndian.Uint32(b[i:])
		h := hash(k)
		if x.begins[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		for _, n := range x.needles[k] {
			if from := i - n.at; from >= 0 && from+len(n.text) <= len(b) && string(b[from:from+len(n.text)]) == n.text {
				return n.name
			}
		}
	}
	return ""
}
