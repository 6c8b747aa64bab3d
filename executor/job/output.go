// SPDX-License-Identifier: Apache-2.0

package job

import (
	"bytes"
	"strings"
	"sync"

	"github.com/zviz/run/internal/mask"
)

// longestLine is where a line is cut, in bytes.
const longestLine = 64 << 10

// output cuts what a process prints into lines. A line that is longer comes in
// parts, masked as one. It is written to as long as the job lives.
type output struct {
	masks *masker
	line  func(text string) // a whole line, not yet masked
	part  func(text string) // a part of a long one, masked
	mu    sync.Mutex
	held  []byte
	long  *mask.Writer // of the long line that is under way
	out   bytes.Buffer
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
		n := min(len(p), longestLine-len(o.held))
		o.held = append(o.held, p[:n]...)
		p = p[n:]
		if len(o.held) == longestLine {
			o.cut(false)
		}
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
