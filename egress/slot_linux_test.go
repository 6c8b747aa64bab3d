// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// full reports whether a further connection to a door is refused at once.
func (j *job) full(addr string) bool {
	j.t.Helper()
	c, err := j.dialErr("tcp", addr)
	if err != nil {
		return errors.Is(err, syscall.ECONNRESET)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	return errors.Is(err, syscall.ECONNRESET)
}

// waitFull waits until the doors are full, or are not.
func (j *job) waitFull(addr string, want bool) {
	j.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); j.full(addr) != want; {
		if time.Now().After(deadline) {
			j.t.Fatalf("%s: full is not %v", addr, want)
		}
	}
}

// TestHandshakesAreCappedAtEveryDoor has connections that say nothing, or not
// enough, at one door, and finds all doors full. What was said makes room.
func TestHandshakesAreCappedAtEveryDoor(t *testing.T) {
	const tlsDoor, httpDoor, proxyDoor, eitherDoor = "169.254.1.1:443", "169.254.1.1:80", "169.254.1.1:3128", "169.254.1.1:8080"
	open := func(t *testing.T) *job {
		t.Helper()
		return openJob(t, func(c *Config) {
			c.Policy.Limits.Handshakes = 2
			c.Policy.Limits.HelloTimeout = time.Minute
		})
	}
	const first = "GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n"
	tests := []struct {
		name, door, send, rest string
		want                   Door
	}{
		{"nothing said to TLS", tlsDoor, "", "", DoorTLS},
		{"a part of a hello", tlsDoor, "\x16\x03\x01", "", DoorTLS},
		{"nothing said to HTTP", httpDoor, "", "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", DoorHTTP},
		{"a part of a head", httpDoor, "GET / HTTP/1.1\r\n", "Host: evil.test\r\n\r\n", DoorHTTP},
		{"the head of a second request", httpDoor, first, " HTTP/1.1\r\nHost: evil.test\r\n\r\n", DoorHTTP},
		{"nothing said to the proxy", proxyDoor, "", "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", DoorConnect},
		{"a part of a CONNECT", proxyDoor, "CONNECT allowed.test:443 HTTP/1.1\r\n", "", DoorConnect},
		{"a CONNECT without a hello", proxyDoor, "CONNECT allowed.test:443 HTTP/1.1\r\n\r\n", "", DoorConnect},
		{"nothing said to either", eitherDoor, "", "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", DoorTLS},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := open(t)
			var conns []net.Conn
			for range 2 {
				c := j.dial("tcp", tt.door)
				_, _ = io.WriteString(c, tt.send)
				if tt.send == first {
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					time.Sleep(100 * time.Millisecond) // the web server waits again
					_, _ = io.WriteString(c, "GET /")
				}
				if tt.name == "a CONNECT without a hello" {
					if _, err := io.ReadFull(c, make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))); err != nil {
						t.Fatal(err)
					}
				}
				conns = append(conns, c)
			}
			// A probe that comes first would take the slot of one of them.
			for deadline := time.Now().Add(10 * time.Second); len(j.n.gateway.hellos) < 2; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the connections hold no slots")
				}
			}
			j.waitFull(tt.door, true)
			e := j.want(Event{Verdict: VerdictDeny, Reason: ReasonLimit, Door: tt.want})
			if !strings.Contains(e.Hint, "egress.limits.handshakes") {
				t.Errorf("hint %q", e.Hint)
			}
			for _, other := range []string{tlsDoor, httpDoor, proxyDoor} {
				j.waitFull(other, true)
			}
			for _, c := range conns {
				if tt.rest == "" {
					c.Close()
				} else if _, err := io.WriteString(c, tt.rest); err != nil {
					t.Fatal(err)
				}
			}
			j.waitFull(tt.door, false)
			j.sink.conns.Store(0) // plain.test was allowed
			j.sink.bytes.Store(0)
		})
	}
}

// TestSlowHead leaves a head unfinished: the connection ends, and the report
// says why.
func TestSlowHead(t *testing.T) {
	for _, tt := range []struct{ door, send string }{
		{"169.254.1.1:80", "GET / HTTP/1.1\r\n"},
		{"169.254.1.1:3128", "CONNECT allowed.test:443 HTTP/1.1\r\n"},
	} {
		j := openJob(t, func(c *Config) { c.Policy.Limits.HelloTimeout = 100 * time.Millisecond })
		c := j.dial("tcp", tt.door)
		if _, err := io.WriteString(c, tt.send); err != nil && !isReset(err) { // too late even for that
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil && !isReset(err) {
			t.Error(err)
		}
		j.want(Event{Verdict: VerdictDeny, Reason: ReasonHelloTimeout})
	}
}

// TestIdleIsNoSlowHead keeps a connection open between requests for longer than a
// head may take.
func TestIdleIsNoSlowHead(t *testing.T) {
	const limit = time.Second // the head of each request has to come in it
	j := openJob(t, func(c *Config) { c.Policy.Limits.HelloTimeout = limit })
	c := j.client("198.51.100.7:80", false)
	for range 2 {
		if status, _ := do(t, c, get(t, "http://plain.test/a")); status != 200 {
			t.Errorf("got %d", status)
		}
		time.Sleep(limit + limit/2)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Reason != "" {
			t.Errorf("event %+v", e)
		}
	}
}

// TestRequestsAreCapped has one request that is not answered, of one that may be
// served, on one connection of HTTP/2.
func TestRequestsAreCapped(t *testing.T) {
	j := openJob(t, func(c *Config) { c.Policy.Limits.Requests = 1 })
	reached, release := make(chan struct{}), make(chan struct{})
	j.sink.wait = func(r *http.Request) {
		if r.URL.Path == "/wait" {
			close(reached)
			<-release
		}
	}
	c := j.client("169.254.1.1:443", true)
	done := make(chan error, 1)
	go func() {
		resp, err := c.Do(get(t, "https://preset.test/wait"))
		if err == nil {
			err = resp.Body.Close()
		}
		done <- err
	}()
	<-reached
	if status, body := do(t, c, get(t, "https://preset.test/more")); status != 503 || !strings.Contains(body, "egress.limits.requests") {
		t.Errorf("got %d %q", status, body)
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "preset.test", Reason: ReasonLimit})
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	// The place is free when the answer's last byte has left, or a moment later.
	status := 0
	for range 200 {
		if status, _ = do(t, c, get(t, "https://preset.test/more")); status == 200 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("after it: got %d", status)
}

// TestPanicCostsOneConnection panics where a door looks who asks: the network goes on.
func TestPanicCostsOneConnection(t *testing.T) {
	var panics atomic.Bool
	panics.Store(true)
	j := openJob(t, func(c *Config) {
		c.Processes = func() []int {
			if panics.Load() {
				panic("planted")
			}
			return nil
		}
	})
	for _, addr := range []string{"169.254.1.1:443", "169.254.1.1:80", "198.51.100.7:4444"} {
		if c, err := j.dialErr("tcp", addr); err == nil {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n")
			_, _ = io.ReadAll(c)
			c.Close()
		}
	}
	c, err := j.dialErr("udp", "169.254.1.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = (&dns.Conn{Conn: c}).WriteMsg(new(dns.Msg).SetQuestion("evil.test.", dns.TypeA))
	time.Sleep(100 * time.Millisecond)
	panics.Store(false)
	if resp := j.ask("udp", new(dns.Msg).SetQuestion("allowed.test.", dns.TypeA)); resp.Rcode != dns.RcodeSuccess {
		t.Errorf("the resolver: %v", resp)
	}
	conn := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "allowed.test", RootCAs: j.pool()})
	if err := conn.HandshakeContext(context.Background()); err != nil {
		t.Errorf("TLS: %v", err)
	}
}

// TestEventsAreCappedByTheirSize: long paths do not fit as often as short ones.
func TestEventsAreCappedByTheirSize(t *testing.T) {
	kept, bytes := 0, 0
	var last Event
	r := newRecorder("j", 20000, func(e Event) { kept++; bytes += e.size(); last = e })
	for i := range 10000 {
		r.emit(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "evil.test", Path: fmt.Sprint(i, strings.Repeat("p", 1000))})
	}
	r.close()
	if bytes > eventBytesMost+4096 || kept < 1000 {
		t.Errorf("%d events of %d bytes", kept, bytes)
	}
	if last.Reason != ReasonLimit || last.Count != 10000-kept+1 || !strings.Contains(last.Hint, "egress.limits.events") {
		t.Errorf("last event %+v", last)
	}
}
