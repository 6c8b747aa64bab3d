// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/base64"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
)

// jsonLines writes what happens as JSON lines, as go test -json does. Output of
// the command waits for the reader; events do not, since the network must go
// on: what the reader is too slow for is in the report anyway.
type jsonLines struct {
	mu  sync.Mutex // one line at a time
	w   io.Writer
	err error

	queue   chan egress.Event // never closed: a call that is given up may still report
	end     chan struct{}
	running sync.WaitGroup
	once    sync.Once
	streams []*logStream
}

// logLine is a piece of the command's output. Data is text; what is not UTF-8
// comes as base64 instead, so that no byte is lost.
type logLine struct {
	Time   time.Time `json:"time"`
	Type   string    `json:"type"` // "log"
	Stream string    `json:"stream"`
	Data   string    `json:"data,omitempty"`
	Base64 string    `json:"base64,omitempty"`
}

func newJSONLines(w io.Writer) *jsonLines {
	j := &jsonLines{w: w, queue: make(chan egress.Event, 4096), end: make(chan struct{})}
	j.running.Go(func() {
		for {
			select {
			case ev := <-j.queue:
				_ = j.line(ev)
			case <-j.end:
				for {
					select {
					case ev := <-j.queue:
						_ = j.line(ev)
					default:
						return
					}
				}
			}
		}
	})
	return j
}

func (j *jsonLines) line(v any) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = writeJSON(j.w, v)
	}
	return j.err
}

// event does not wait; after close it does nothing.
func (j *jsonLines) event(ev egress.Event) {
	select {
	case j.queue <- ev:
	default:
	}
}

// close writes what is left of the streams and the events.
func (j *jsonLines) close() {
	j.once.Do(func() {
		for _, s := range j.streams {
			s.close()
		}
		close(j.end)
		j.running.Wait()
	})
}

// last writes the report after all else, and returns why any line was not written.
func (j *jsonLines) last(r executor.Report) error {
	j.close()
	err := j.line(r)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = io.ErrClosedPipe // the report is the last line, whoever still writes
	}
	return err
}

// stream returns a writer for one stream of the command.
func (j *jsonLines) stream(name string) io.Writer {
	s := &logStream{j: j, name: name}
	j.streams = append(j.streams, s)
	return s
}

// logStream cuts a stream into lines of JSON: one for each write, but never
// through the middle of a character.
type logStream struct {
	j    *jsonLines
	name string
	mu   sync.Mutex
	rest []byte
}

// maxLogData bounds the data of one line: readers have buffers.
const maxLogData = 32 << 10

func (s *logStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := append(s.rest, p...)
	whole := len(data) - len(splitRune(data))
	s.rest = append([]byte(nil), data[whole:]...)
	for data = data[:whole]; len(data) > 0; {
		n := min(len(data), maxLogData)
		if n < len(data) {
			n -= len(splitRune(data[:n]))
		}
		if err := s.emit(data[:n]); err != nil {
			return 0, err
		}
		data = data[n:]
	}
	return len(p), nil
}

func (s *logStream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rest) > 0 {
		_ = s.emit(s.rest)
		s.rest = nil
	}
}

func (s *logStream) emit(data []byte) error {
	l := logLine{Time: time.Now().UTC(), Type: "log", Stream: s.name}
	if utf8.Valid(data) {
		l.Data = string(data)
	} else {
		l.Base64 = base64.StdEncoding.EncodeToString(data)
	}
	return s.j.line(l)
}

// splitRune returns the bytes at the end that begin a character of which the
// rest has not come yet.
func splitRune(data []byte) []byte {
	for i := 1; i <= min(utf8.UTFMax-1, len(data)); i++ {
		tail := data[len(data)-i:]
		if utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return tail
			}
			return nil
		}
	}
	return nil
}
