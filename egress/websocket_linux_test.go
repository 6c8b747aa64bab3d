// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const asksSocket = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// echoes is a server of WebSockets that repeats what it gets, whatever it is.
func echoes(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		_, _ = io.WriteString(w, "no socket")
		return
	}
	c, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	_, _ = io.Copy(c, buffered)
}

// openSocket asks for a WebSocket and returns the status, and the connection if it
// became one.
func openSocket(t *testing.T, c net.Conn, host, path, head string) (int, *bufio.ReadWriter) {
	t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n"+head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // a 101 has none: the connection lives on
	return resp.StatusCode, bufio.NewReadWriter(br, bufio.NewWriter(c))
}

func socketJob(t *testing.T, change func(*Config)) *job {
	t.Helper()
	return openJob(t, func(c *Config) {
		c.Policy.Rules = []Rule{
			{Host: "allowed.test"},
			{Host: "plain.test", Ports: []uint16{80}, WebSocket: true},
			{Host: "audit.test", TLS: TLSTerminate, Paths: []string{"/ws"}, WebSocket: true},
			{Host: "other-allowed.test", TLS: TLSTerminate},
		}
		if change != nil {
			change(c)
		}
	})
}

func (j *job) dialTLS(host string) net.Conn {
	return tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: host, RootCAs: j.pool(), NextProtos: []string{"http/1.1"}})
}

func TestWebSocket(t *testing.T) {
	tests := []struct {
		name, host, path, head string
		plain                  bool
		status                 int
	}{
		{"plain", "plain.test", "/ws", asksSocket, true, 101},
		{"terminated", "audit.test", "/ws", asksSocket, false, 101},
		{"spliced", "allowed.test", "/ws", asksSocket, false, 101},
		{"another path", "audit.test", "/other", asksSocket, false, 403},
		{"a rule without", "other-allowed.test", "/ws", asksSocket, false, 403},
		{"a preset", "preset.test", "/ws", asksSocket, false, 403},
		{"another protocol", "audit.test", "/ws", strings.Replace(asksSocket, "websocket", "tcp", 1), false, 403},
		{"two protocols", "audit.test", "/ws", asksSocket + "Upgrade: tcp\r\n", false, 403},
		{"without a key", "audit.test", "/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false, 403},
		{"with a body", "audit.test", "/ws", asksSocket + "Content-Length: 4\r\n", false, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := socketJob(t, nil)
			j.sink.answer = echoes
			c := j.dialTLS(tt.host)
			if tt.plain {
				c = j.dial("tcp", "169.254.1.1:80")
			}
			status, rw := openSocket(t, c, tt.host, tt.path, tt.head)
			if diff := cmp.Diff(tt.status, status); diff != "" {
				t.Fatalf("status (-want +got):\n%s", diff)
			}
			if status != 101 {
				j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: tt.host})
				j.untouched()
				return
			}
			const words = "frames of any kind"
			_, _ = rw.WriteString(words)
			if err := rw.Flush(); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(words))
			if _, err := io.ReadFull(rw, got); err != nil || string(got) != words {
				t.Fatalf("got %q, %v", got, err)
			}
			c.Close()
			e := j.want(Event{Verdict: VerdictAllow, Host: tt.host})
			if !e.Opaque || e.Up < int64(len(words)) || e.Down < int64(len(words)) || j.n.Complete() {
				t.Errorf("event %+v, complete %v", e, j.n.Complete())
			}
		})
	}
}

// TestWebSocketUnasked has a host that switches protocols although nobody asked.
func TestWebSocketUnasked(t *testing.T) {
	j := socketJob(t, nil)
	j.sink.answer = func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	}
	if status, _ := openSocket(t, j.dialTLS("audit.test"), "audit.test", "/ws", ""); status != http.StatusBadGateway {
		t.Errorf("got %d", status)
	}
}

// TestWebSocketEnds ends one in each way that the gateway can.
func TestWebSocketEnds(t *testing.T) {
	open := func(t *testing.T, j *job) *bufio.ReadWriter {
		t.Helper()
		j.sink.answer = echoes
		status, rw := openSocket(t, j.dialTLS("audit.test"), "audit.test", "/ws", asksSocket)
		if status != 101 {
			t.Fatalf("status %d", status)
		}
		return rw
	}
	ended := func(t *testing.T, rw *bufio.ReadWriter) {
		t.Helper()
		if _, err := io.Copy(io.Discard, rw); errors.Is(err, io.ErrShortWrite) {
			t.Fatal(err)
		}
	}
	t.Run("limit of bytes", func(t *testing.T) {
		j := socketJob(t, func(c *Config) { c.Policy.Limits.UpBytes = 4096 })
		rw := open(t, j)
		_, _ = rw.Write(make([]byte, 64<<10))
		_ = rw.Flush()
		ended(t, rw)
		e := j.want(Event{Verdict: VerdictDeny, Host: "audit.test", Reason: ReasonUpCap})
		if e.Up > 4096 || j.sink.bytes.Load() > 4096+2048 { // the handshake of TLS comes on top
			t.Errorf("the host got %d bytes, by the event %d", j.sink.bytes.Load(), e.Up)
		}
	})
	t.Run("step without the host", func(t *testing.T) {
		j := socketJob(t, nil)
		rw := open(t, j)
		if err := j.n.SetStep("two", Policy{Rules: []Rule{{Host: "allowed.test"}}}); err != nil {
			t.Fatal(err)
		}
		ended(t, rw)
		j.want(Event{Verdict: VerdictDeny, Host: "audit.test", Reason: ReasonStep})
	})
	t.Run("step without websocket", func(t *testing.T) {
		j := socketJob(t, nil)
		rw := open(t, j)
		if err := j.n.SetStep("two", Policy{Rules: []Rule{{Host: "audit.test", TLS: TLSTerminate}}}); err != nil {
			t.Fatal(err)
		}
		ended(t, rw)
		j.want(Event{Verdict: VerdictDeny, Host: "audit.test", Reason: ReasonStep})
	})
	t.Run("idle", func(t *testing.T) {
		j := socketJob(t, func(c *Config) { c.Policy.Limits.IdleTimeout = time.Second }) // for the answer too
		ended(t, open(t, j))
		j.want(Event{Verdict: VerdictNote, Host: "audit.test", Reason: ReasonIdle})
	})
	t.Run("close", func(t *testing.T) {
		j := socketJob(t, nil)
		rw := open(t, j)
		if err := j.n.Close(); err != nil {
			t.Fatal(err)
		}
		ended(t, rw)
		j.want(Event{Verdict: VerdictAllow, Host: "audit.test", Path: "/ws"})
	})
}

// TestWebSocketNarrowed has a policy of the repository's that says nothing of
// WebSockets.
func TestWebSocketNarrowed(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		j := socketJob(t, func(c *Config) {
			c.Policy = Intersect(c.Policy, Policy{Rules: []Rule{{Host: "audit.test", WebSocket: allowed}}})
		})
		j.sink.answer = echoes
		status, _ := openSocket(t, j.dialTLS("audit.test"), "audit.test", "/ws", asksSocket)
		if want := map[bool]int{false: 403, true: 101}[allowed]; status != want {
			t.Errorf("narrowed to %v: got %d", allowed, status)
		}
	}
}

// What audit lets through without a rule may become a WebSocket too, and is reported.
func TestWebSocketInAudit(t *testing.T) {
	j := socketJob(t, func(c *Config) { c.Policy.Mode = ModeAudit; c.Policy.Rules[1].WebSocket = false })
	j.sink.answer = echoes
	if err := j.n.SetStep("one", j.n.policy); err != nil {
		t.Fatal(err)
	}
	for host, c := range map[string]net.Conn{"plain.test": j.dial("tcp", "169.254.1.1:80"), "other-allowed.test": j.dialTLS("other-allowed.test")} {
		status, rw := openSocket(t, c, host, "/ws", asksSocket)
		if status != http.StatusSwitchingProtocols {
			t.Errorf("%s: %d", host, status)
			continue
		}
		_, _ = rw.WriteString("words")
		_ = rw.Flush()
		if got := make([]byte, 5); true {
			if _, err := io.ReadFull(rw, got); err != nil || string(got) != "words" {
				t.Errorf("%s: %q, %v", host, got, err)
			}
		}
		c.Close()
		if e := j.want(Event{Verdict: VerdictWouldDeny, Host: host, Reason: ReasonUpgrade}); !e.Opaque {
			t.Errorf("event %+v", e)
		}
	}
}
