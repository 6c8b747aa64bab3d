// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// stream2 is a client of HTTP/2 that keeps to no rule but the form of frames.
type stream2 struct {
	t      *testing.T
	framer *http2.Framer
	head   bytes.Buffer
	enc    *hpack.Encoder
	next   uint32
}

func (j *job) dialH2() *stream2 {
	j.t.Helper()
	c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "preset.test", RootCAs: j.pool(), NextProtos: []string{"h2"}})
	if err := c.Handshake(); err != nil {
		j.t.Fatal(err)
	}
	if got := c.ConnectionState().NegotiatedProtocol; got != "h2" {
		j.t.Fatalf("the door speaks %q", got)
	}
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		j.t.Fatal(err)
	}
	s := &stream2{t: j.t, framer: http2.NewFramer(c, c), next: 1}
	s.enc = hpack.NewEncoder(&s.head)
	s.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := s.framer.WriteSettings(); err != nil {
		j.t.Fatal(err)
	}
	return s
}

// open sends the head of a request, name and value in turns, and returns its stream.
func (s *stream2) open(end bool, fields ...string) (uint32, error) {
	s.head.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = s.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // into memory
	}
	id := s.next
	s.next += 2
	block := s.head.Bytes()
	first := block[:min(len(block), 16<<10)]
	rest := block[len(first):]
	err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(rest) == 0})
	for err == nil && len(rest) > 0 {
		piece := rest[:min(len(rest), 16<<10)]
		rest = rest[len(piece):]
		err = s.framer.WriteContinuation(id, len(rest) == 0, piece)
	}
	return id, err
}

func ask(method, authority, path string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "https", ":authority", authority, ":path", path}, more...)
}

// outcome reads until a stream is answered or the connection ends: a status, the
// code of RST_STREAM or GOAWAY, or "closed".
func (s *stream2) outcome(id uint32) string {
	for {
		f, err := s.framer.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() {
				continue
			}
			if v, ok := f.Value(http2.SettingEnableConnectProtocol); ok && v != 0 {
				s.t.Error("the door offers extended CONNECT")
			}
			_ = s.framer.WriteSettingsAck() // a connection that ends says so when it is read
		case *http2.MetaHeadersFrame:
			if f.StreamID == id {
				return f.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return "RST_STREAM " + f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return "GOAWAY " + f.ErrCode.String()
			}
		}
	}
}

// TestHTTP2Streams judges each stream of a connection by itself.
func TestHTTP2Streams(t *testing.T) {
	tests := []struct {
		name   string
		fields []string
		body   bool
		want   string
		event  Event
	}{
		{"GET", ask("GET", "preset.test", "/1"), false, "200", Event{Verdict: VerdictAllow, Host: "preset.test", Path: "/1"}},
		{"HEAD", ask("HEAD", "preset.test", "/2"), false, "200", Event{Verdict: VerdictAllow, Method: "HEAD"}},
		{"other authority", ask("GET", "other.test", "/3"), false, "421", Event{Verdict: VerdictDeny, Host: "other.test", Reason: ReasonHostMismatch}},
		{"other host that is allowed", ask("GET", "allowed.test", "/4"), false, "421", Event{Verdict: VerdictDeny, Host: "allowed.test", Reason: ReasonHostMismatch}},
		{"Host beside the authority", ask("GET", "preset.test", "/5", "host", "other.test"), false, "200", Event{Verdict: VerdictAllow, Path: "/5"}},
		{"PUT", ask("PUT", "preset.test", "/evil"), true, "403", Event{Verdict: VerdictDeny, Method: "PUT", Path: "/evil", Reason: ReasonMethod}},
		{"body of a GET", ask("GET", "preset.test", "/6"), true, "403", Event{Verdict: VerdictDeny, Path: "/6", Reason: ReasonBody}},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "preset.test:443"}, false, "403", Event{Verdict: VerdictDeny, Method: "CONNECT", Reason: ReasonMethod}},
		{"CONNECT to another", []string{":method", "CONNECT", ":authority", "other.test:443"}, false, "421", Event{Verdict: VerdictDeny, Method: "CONNECT", Reason: ReasonHostMismatch}},
		// What HTTP/2 itself forbids is answered by net/http, and there is no event:
		// a protocol that our settings do not offer, a field of the connection.
		{"extended CONNECT", ask("CONNECT", "preset.test", "/7", ":protocol", "websocket"), true, "RST_STREAM PROTOCOL_ERROR", Event{}},
		{"upgrade", ask("GET", "preset.test", "/8", "upgrade", "websocket"), false, "400", Event{}},
		{"long header", ask("GET", "preset.test", "/9", "if-none-match", strings.Repeat("a", 5000)), false, "431", Event{Verdict: VerdictDeny, Path: "/9", Reason: ReasonHeaderSize}},
		{"GET after all that", ask("GET", "preset.test", "/last"), false, "200", Event{Verdict: VerdictAllow, Path: "/last"}},
	}
	j := openJob(t, nil)
	c := j.dialH2()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := c.open(!tt.body, tt.fields...)
			if err != nil {
				t.Fatal(err)
			}
			if tt.body {
				_ = c.framer.WriteData(id, true, []byte("abcd")) // it may be refused by now
			}
			if diff := cmp.Diff(tt.want, c.outcome(id)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if tt.event.Verdict != "" {
				j.want(tt.event)
			}
		})
	}
	var got []string
	for _, r := range j.sink.seen() {
		got = append(got, r.Method+" "+r.Host+r.URL.Path)
	}
	if diff := cmp.Diff([]string{"GET preset.test/1", "HEAD preset.test/2", "GET preset.test/5", "GET preset.test/last"}, got); diff != "" {
		t.Errorf("the outside got (-want +got):\n%s", diff)
	}
	for i, body := range j.sink.bodies {
		if body != "" {
			t.Errorf("the outside got the body %q of request %d", body, i)
		}
	}
}

// held is a filter that keeps requests, whatever becomes of their clients, and
// counts them.
type held struct {
	mu        sync.Mutex
	now, most int
	release   chan struct{}
}

func (h *held) Request(*Exchange) (*http.Response, error) {
	h.mu.Lock()
	h.now++
	h.most = max(h.most, h.now)
	h.mu.Unlock()
	<-h.release
	h.mu.Lock()
	h.now--
	h.mu.Unlock()
	return nil, &RefusalError{Reason: ReasonFilter}
}

func (h *held) Response(*Exchange, *http.Response) error { return nil }

// TestHTTP2Floods makes one connection ask for more than it may have.
func TestHTTP2Floods(t *testing.T) {
	openHeld := func(t *testing.T) (*job, *held) {
		t.Helper()
		h := &held{release: make(chan struct{})}
		j := openJob(t, func(c *Config) { c.Filters = []Filter{h} })
		t.Cleanup(sync.OnceFunc(func() { close(h.release) })) // before the network is closed
		return j, h
	}
	most := func(h *held) int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.most
	}
	t.Run("streams", func(t *testing.T) {
		j, h := openHeld(t)
		c := j.dialH2()
		if got := c.outcomeOfSettings(); got != maxStreams {
			t.Errorf("the settings allow %d streams", got)
		}
		var last uint32
		for range maxStreams + 1 {
			id, err := c.open(true, ask("GET", "preset.test", "/")...)
			if err != nil {
				t.Fatal(err)
			}
			last = id
		}
		if got := c.outcome(last); got != "RST_STREAM PROTOCOL_ERROR" && got != "RST_STREAM REFUSED_STREAM" {
			t.Errorf("a stream too many: %s", got)
		}
		if n := most(h); n > maxStreams {
			t.Errorf("%d requests at once", n)
		}
		j.untouched()
	})
	t.Run("rapid reset", func(t *testing.T) { // CVE-2023-44487
		j, h := openHeld(t)
		c := j.dialH2()
		sent := 0
		for range 20000 {
			id, err := c.open(true, ask("GET", "preset.test", "/")...)
			if err == nil {
				err = c.framer.WriteRSTStream(id, http2.ErrCodeCancel)
			}
			if err != nil {
				break
			}
			sent++
		}
		if got := c.outcome(0); got != "GOAWAY ENHANCE_YOUR_CALM" && got != "closed" {
			t.Errorf("after %d streams that were reset: %s", sent, got)
		}
		if n := most(h); n > maxStreams {
			t.Errorf("%d requests at once", n)
		}
		j.untouched()
	})
	t.Run("head without end", func(t *testing.T) { // CVE-2023-45288
		j, _ := openHeld(t)
		c := j.dialH2()
		_, err := c.open(true, ask("GET", "preset.test", "/", "x-data", strings.Repeat("a", 64<<20))...)
		got := "closed"
		if err == nil {
			got = c.outcome(1)
		}
		if got != "closed" && !strings.HasPrefix(got, "GOAWAY") && got != "431" {
			t.Errorf("64 MiB of a head: %s", got)
		}
		j.untouched()
	})
	t.Run("many fields", func(t *testing.T) {
		j, _ := openHeld(t)
		c := j.dialH2()
		fields := ask("GET", "preset.test", "/")
		for i := range 2000 {
			fields = append(fields, "x-"+strconv.Itoa(i), "a")
		}
		id, err := c.open(true, fields...)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.outcome(id); got != "431" && got != "GOAWAY PROTOCOL_ERROR" {
			t.Errorf("2000 fields: %s", got)
		}
		j.untouched()
	})
}

// outcomeOfSettings returns how many streams the door allows.
func (s *stream2) outcomeOfSettings() uint32 {
	for {
		f, err := s.framer.ReadFrame()
		if err != nil {
			return 0
		}
		if f, ok := f.(*http2.SettingsFrame); ok && !f.IsAck() {
			v, _ := f.Value(http2.SettingMaxConcurrentStreams)
			_ = s.framer.WriteSettingsAck()
			return v
		}
	}
}
