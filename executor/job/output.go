// SPDX-License-Identifier: Apache-2.0

package job

import (
	"bytes"
	"strings"
	"sync"

	"github.com/zviz/run/internal/mask"
)

const (
	longestLine    = 64 << 10 // where a line is cut, in bytes
	longestCommand = 2 << 20  // the same of one that may be a command: a value of a MiB, with its escapes
)

// output cuts what a process prints into lines. A line that is longer comes in
// parts, masked as one. It is written to as long as the job lives.
type output struct {
	masks   *masker
	line    func(text string)      // a whole line, not yet masked
	command func(text string) bool // a line that is too long for that: whether it is a command
	part    func(text string)      // a part of a long one, masked
	mu      sync.Mutex
	held    []byte
	long    *mask.Writer // of the long line that is under way
	out     bytes.Buffer
}

// Write takes what a process prints.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			o.take(p)
			break
		}
		o.take(p[:i])
		o.end()
		p = p[i+1:]
	}
	return n, nil
}

// take adds to the line that is under way.
func (o *output) take(p []byte) {
	for len(p) > 0 {
		most := longestLine
		if len(o.held) >= longestLine {
			most = longestCommand
		}
		n := min(len(p), most-len(o.held))
		o.held = append(o.held, p[:n]...)
		p = p[n:]
		if len(o.held) == longestLine && !o.mayBeCommand() || len(o.held) == longestCommand {
			o.parts(false)
		}
	}
}

// mayBeCommand says whether the line that is under way begins as a command does.
func (o *output) mayBeCommand() bool {
	return o.long == nil && bytes.HasPrefix(bytes.TrimLeft(o.held, " \t\r\v\f"), []byte("::"))
}

// parts hands out what is held as parts of a long line.
func (o *output) parts(last bool) {
	held := o.held
	for len(held) > longestLine {
		o.held = held[:longestLine]
		held = held[longestLine:]
		o.cut(false)
	}
	o.held = held
	o.cut(last)
	if cap(o.held) > 2*longestLine {
		o.held = nil
	}
}

// cut hands out a part of a long line.
func (o *output) cut(last bool) {
	if o.long == nil {
		o.long = o.masks.writer(&o.out)
	}
	_, _ = o.long.Write(o.held) // a Buffer does not fail
	o.held = o.held[:0]
	if last {
		_ = o.long.Flush()
		o.long = nil
	}
	if o.out.Len() > 0 || last {
		o.part(strings.ToValidUTF8(strings.TrimSuffix(o.out.String(), "\r"), "\ufffd"))
	}
	o.out.Reset()
}

// end ends the line.
func (o *output) end() {
	if o.long != nil {
		o.cut(true)
		return
	}
	text := strings.ToValidUTF8(strings.TrimSuffix(string(o.held), "\r"), "\ufffd")
	if len(o.held) >= longestLine {
		if o.command(text) {
			o.held = nil
			return
		}
		o.parts(true)
		return
	}
	o.held = o.held[:0]
	o.line(text)
}

// flush ends a last line without a line break.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.held) > 0 || o.long != nil {
		o.end()
	}
}
