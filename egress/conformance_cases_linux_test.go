// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
)

// setup opens a job with the policy that the cases assume: allowed.test is a preset's,
// other-allowed.test is spliced, *.pkg.test is capped at 16 names. Every name leads to
// the sink, and the runner's resolver counts who asks it.
func setup(t *testing.T, change func(*Config)) (*job, *atomic.Int64) {
	t.Helper()
	questions := &atomic.Int64{}
	j := openJob(t, func(c *Config) {
		c.Policy.Rules = []Rule{{Host: "other-allowed.test"}}
		c.Policy.Deny = nil
		c.Policy.Upstream.DNS = countingDNS(t, questions)
		c.Presets = []Preset{{Name: "npm", Rules: []Rule{
			{Host: "allowed.test"}, {Host: "*.pkg.test", MaxNames: 16}, {Host: "plain-preset.test", Ports: []uint16{80}},
		}}}
		if change != nil {
			change(c)
		}
	})
	return j, questions
}

// countingDNS answers nothing and counts.
func countingDNS(t *testing.T, n *atomic.Int64) string {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		n.Add(1)
		_ = w.WriteMsg(new(dns.Msg).SetRcode(r, dns.RcodeNameError))
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ActivateAndServe() }()
	t.Cleanup(func() { pc.Close(); <-done })
	return pc.LocalAddr().String()
}

// nothing checks that nothing came upstream, not even a question.
func (j *job) nothing(questions *atomic.Int64) {
	j.t.Helper()
	j.untouched()
	if n := questions.Load(); n != 0 {
		j.t.Errorf("the runner's resolver was asked %d times", n)
	}
}

// says sends bytes to an address inside and returns all that comes back.
func (j *job) says(dst string, send []byte) []byte {
	j.t.Helper()
	c := j.dial("tcp", dst)
	defer c.Close()
	if _, err := c.Write(send); err != nil && !isReset(err) {
		j.t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil && !isReset(err) {
		j.t.Fatal(err)
	}
	return got
}

// serverHello reports whether a ClientHello is answered by one.
func (j *job) serverHello(dst string, hello []byte, oneByOne bool) bool {
	j.t.Helper()
	c := j.dial("tcp", dst).(*net.TCPConn)
	defer c.Close()
	if !oneByOne {
		if _, err := c.Write(hello); err != nil {
			j.t.Fatal(err)
		}
	} else {
		_ = c.SetNoDelay(true)
		for _, b := range hello {
			if _, err := c.Write([]byte{b}); err != nil {
				j.t.Fatal(err)
			}
		}
	}
	got := make([]byte, 6)
	_, err := io.ReadFull(c, got)
	return err == nil && got[0] == recordHandshake && got[5] == 2
}

// withExtension adds an extension to a recorded ClientHello in one record.
func withExtension(raw []byte, kind uint16, data []byte) []byte {
	raw = slices.Clone(raw)
	grow := 4 + len(data)
	add := func(at int) {
		n := int(raw[at])<<8 + int(raw[at+1]) + grow
		raw[at], raw[at+1] = byte(n>>8), byte(n)
	}
	add(3)
	add(7)
	at := 9 + 2 + 32
	at += 1 + int(raw[at])
	at += 2 + int(raw[at])<<8 + int(raw[at+1])
	at += 1 + int(raw[at])
	add(at)
	raw = append(raw, byte(kind>>8), byte(kind), byte(len(data)>>8), byte(len(data)))
	return append(raw, data...)
}

func helloFor(t *testing.T, name string) []byte {
	t.Helper()
	return recordHello(t, &tls.Config{ServerName: name, InsecureSkipVerify: true})
}

// refusedHello is a row in which a ClientHello is refused and nothing leaves.
func refusedHello(dst string, hello func(*testing.T) []byte, want Event) func(*testing.T) {
	return func(t *testing.T) {
		j, q := setup(t, nil)
		got := j.says(dst, hello(t))
		if len(got) > 0 && got[0] != recordAlert {
			t.Errorf("answer % x", got)
		}
		want.Verdict, want.Door = VerdictDeny, DoorTLS
		j.want(want)
		j.nothing(q)
	}
}

// servedHello is a row in which a ClientHello for a spliced host is served.
func servedHello(hello func(*testing.T) []byte, oneByOne bool) func(*testing.T) {
	return func(t *testing.T) {
		j, _ := setup(t, nil)
		if !j.serverHello("169.254.1.1:443", hello(t), oneByOne) {
			t.Error("not served")
		}
		j.want(Event{Verdict: VerdictAllow, Door: DoorTLS, Host: "other-allowed.test"})
	}
}

// refusedHTTP is a row in which a plain request is refused and nothing leaves.
func refusedHTTP(dst, send string, status int, say string, want Event) func(*testing.T) {
	return func(t *testing.T) {
		j, q := setup(t, nil)
		got, body := raw(t, j.dial("tcp", dst), send)
		if got != status || !strings.Contains(body, say) {
			t.Errorf("got %d %q, want %d and %q", got, body, status, say)
		}
		want.Verdict = VerdictDeny
		j.want(want)
		j.nothing(q)
	}
}

// refusedMITM is a row in which a request within our TLS is refused.
func refusedMITM(requests []string, status int, want Event) func(*testing.T) {
	return func(t *testing.T) {
		j, q := setup(t, nil)
		for _, send := range requests {
			c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "allowed.test", RootCAs: j.pool()})
			if got, body := raw(t, c, send); got != status {
				t.Errorf("%q: got %d %q", send, got, body)
			}
			w := want
			w.Verdict, w.Door = VerdictDeny, DoorHTTP
			w.Method, _, _ = strings.Cut(send, " ")
			if e := j.want(w); want.Hint != "" && !strings.Contains(e.Hint, want.Hint) {
				t.Errorf("hint %q", e.Hint)
			}
		}
		j.nothing(q)
	}
}

// redactedMITM is a row in which a request goes on without a part of it.
func redactedMITM(path string, header http.Header, part string, holds func(*http.Request) bool) func(*testing.T) {
	return func(t *testing.T) {
		j, _ := setup(t, nil)
		r := get(t, "https://allowed.test"+path)
		maps.Copy(r.Header, header)
		if status, body := do(t, j.client("169.254.1.1:443", false), r); status != 200 {
			t.Errorf("got %d %s", status, body)
		}
		e := j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: "allowed.test"})
		if !slices.Contains(e.Redacted, part) {
			t.Errorf("redacted %q", e.Redacted)
		}
		if holds(j.sink.seen()[0]) {
			t.Errorf("upstream got %s", part)
		}
	}
}

// refusedConnect is a row about CONNECT.
func refusedConnect(authorities []string, status int, want Event) func(*testing.T) {
	return func(t *testing.T) {
		j, q := setup(t, nil)
		for _, to := range authorities {
			got, body := raw(t, j.dial("tcp", "169.254.1.1:3128"), "CONNECT "+to+" HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n")
			if got != status || body == "" {
				t.Errorf("%s: got %d %q", to, got, body)
			}
		}
		want.Verdict, want.Door = VerdictDeny, DoorConnect
		j.want(want)
		j.nothing(q)
	}
}

// afterConnect is a row about what follows a CONNECT that is allowed.
func afterConnect(send func(*testing.T) []byte, want Event) func(*testing.T) {
	return func(t *testing.T) {
		j, q := setup(t, nil)
		c := j.dial("tcp", "169.254.1.1:3128")
		connectTo(t, c, "allowed.test:443")
		if _, err := c.Write(send(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil && !isReset(err) {
			t.Fatal(err)
		}
		want.Verdict, want.Door = VerdictDeny, DoorConnect
		j.want(want)
		j.nothing(q)
	}
}

// question is a row about one question to the resolver.
func question(network, name string, qtypes []uint16, rcode int, answer string, want Event, edit func(*dns.Msg)) func(*testing.T) {
	return func(t *testing.T) {
		j, q := setup(t, nil)
		for _, qtype := range qtypes {
			m := new(dns.Msg).SetQuestion(name, qtype)
			if edit != nil {
				edit(m)
			}
			resp := j.ask(network, m)
			got := ""
			if len(resp.Answer) == 1 {
				got = resp.Answer[0].(*dns.A).A.String()
				if resp.Answer[0].Header().Ttl > 60 {
					t.Errorf("TTL %d", resp.Answer[0].Header().Ttl)
				}
			}
			if resp.Rcode != rcode || got != answer {
				t.Errorf("%s: %v", dns.Type(qtype), resp)
			}
			w := want
			w.Door = DoorDNS
			if want.Reason != ReasonMalformed {
				w.QType, w.Transport = dns.Type(qtype).String(), network
			}
			j.want(w)
		}
		j.nothing(q)
	}
}

// packet is a row about a port or a protocol that is no door.
func refusedPacket(network string, dsts []string, wants []Event) func(*testing.T) {
	return func(t *testing.T) {
		j, q := setup(t, nil)
		for i, dst := range dsts {
			c, err := j.dialErr(network, dst)
			if err == nil {
				_ = c.SetDeadline(soon())
				_, err = c.Write([]byte("secret"))
				if err == nil && !strings.HasPrefix(dst, "224.") {
					_, err = c.Read(make([]byte, 10))
				}
				c.Close()
			}
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() || err == nil && !strings.HasPrefix(dst, "224.") {
				t.Errorf("%s: %v", dst, err)
			}
			w := wants[i]
			w.Verdict = VerdictDeny
			j.want(w)
		}
		j.nothing(q)
	}
}

// script runs a script with a real registry and says whether it must succeed.
func script(preset, tool, text string, succeed bool, check func(*testing.T, []byte, []Event)) func(*testing.T) {
	return func(t *testing.T) {
		out, events, err := online(t, preset, tool, text, nil)
		if (err == nil) != succeed {
			t.Errorf("%v\n%s", err, out)
		}
		check(t, out, events)
	}
}

// allGET: a registry saw reading only.
func allGET(t *testing.T, _ []byte, events []Event) {
	t.Helper()
	n := 0
	for _, e := range events {
		if e.Door == DoorHTTP && e.Verdict == VerdictAllow {
			n++
			if e.Method != http.MethodGet && e.Method != http.MethodHead {
				t.Errorf("event %+v", e)
			}
		}
	}
	if n == 0 {
		t.Error("nothing was allowed")
	}
}

// hasDeny: the log has a refusal like this one.
func hasDeny(want Event) func(*testing.T, []byte, []Event) {
	return func(t *testing.T, _ []byte, events []Event) {
		t.Helper()
		want.Verdict = VerdictDeny
		if !slices.ContainsFunc(events, func(e Event) bool { return like(want, e) }) {
			t.Errorf("no event like %+v", want)
		}
	}
}

func conformanceCases() map[string]func(*testing.T) {
	const gw443, gw80 = "169.254.1.1:443", "169.254.1.1:80"
	mitm := func(lines string) string { return lines + " HTTP/1.1\r\nHost: allowed.test\r\n" }
	huge := append([]byte{22, 3, 1, 0x40, 0, 1, 1, 0, 0}, make([]byte, 0x4000-4)...)
	token := strings.Repeat("c2VjcmV0", 256)
	nx := dns.RcodeNameError
	return map[string]func(*testing.T){
		"tcp-ip-literal":        refusedPacket("tcp", []string{"198.51.100.7:4444"}, []Event{{Door: DoorTCP, Dst: "198.51.100.7:4444", Reason: ReasonNoName}}),
		"tcp-ip-443-no-sni":     refusedHello("198.51.100.7:443", func(t *testing.T) []byte { return recordHello(t, &tls.Config{InsecureSkipVerify: true}) }, Event{Dst: "198.51.100.7:443", Reason: ReasonNoSNI}),
		"tcp-ip-443-denied-sni": refusedHello(gw443, func(t *testing.T) []byte { return helloFor(t, "evil.test") }, Event{Host: "evil.test", Reason: ReasonHost}),
		"tcp-ip-443-allowed-sni": func(t *testing.T) {
			j, _ := setup(t, nil)
			if status, body := do(t, j.client("198.51.100.7:443", false), get(t, "https://allowed.test/a")); status != 200 || body != "hello from allowed.test/a" {
				t.Errorf("got %d %q", status, body)
			}
			j.want(Event{Verdict: VerdictAllow, Host: "allowed.test", Dst: "198.51.100.7:443"})
		},
		"tls-sni-case-dot": func(t *testing.T) {
			j, _ := setup(t, nil)
			c := tls.Client(j.dial("tcp", gw443), &tls.Config{ServerName: "ALLOWED.TEST", RootCAs: j.pool()})
			if status, _ := raw(t, c, "GET / HTTP/1.1\r\nHost: ALLOWED.TEST.\r\n\r\n"); status != 200 {
				t.Errorf("got %d", status)
			}
			j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: "allowed.test"})
			// No client of ours sends the dot, so it is put in where the host sees it.
			j.serverHello(gw443, replaceName(helloFor(t, "other-allowed.testx"), "other-allowed.testx", "OTHER-ALLOWED.TEST."), false)
			j.want(Event{Verdict: VerdictAllow, Door: DoorTLS, Host: "other-allowed.test"})
		},
		"tls-sni-nul": refusedHello(gw443, func(t *testing.T) []byte {
			return replaceName(helloFor(t, "allowed.testx.evil.test"), "allowed.testx.", "allowed.test\x00.")
		}, Event{Reason: ReasonMalformed}),
		"tls-sni-idn": refusedHello(gw443, func(t *testing.T) []byte { return helloFor(t, "xn--llowed-4nf.test") }, Event{Host: "xn--llowed-4nf.test", Reason: ReasonHost}),
		"tls-two-sni": func(t *testing.T) {
			for _, extensions := range []func(*cryptobyte.Builder){
				func(b *cryptobyte.Builder) { names(b, "allowed.test", "evil.test") },
				func(b *cryptobyte.Builder) { names(b, "allowed.test"); names(b, "evil.test") },
			} {
				refusedHello(gw443, func(t *testing.T) []byte { return buildHello(t, extensions) }, Event{Reason: ReasonMalformed})(t)
			}
		},
		"tls-fragmented-records": refusedHello(gw443, func(t *testing.T) []byte { return cut(helloFor(t, "evil.test"), 70) }, Event{Host: "evil.test", Reason: ReasonHost}),
		"tls-fragmented-allowed": servedHello(func(t *testing.T) []byte { return cut(helloFor(t, "other-allowed.test"), 70) }, true),
		"tls-large-hello": servedHello(func(t *testing.T) []byte {
			return withExtension(helloFor(t, "other-allowed.test"), 21, make([]byte, 11<<10))
		}, false),
		"tls-oversize-hello": refusedHello(gw443, func(*testing.T) []byte { return huge }, Event{Reason: ReasonHelloLarge}),
		"tls-slow-hello": func(t *testing.T) {
			j, q := setup(t, func(c *Config) { c.Policy.Limits.HelloTimeout = 100 * time.Millisecond })
			c := j.dial("tcp", gw443)
			for _, b := range helloFor(t, "allowed.test") {
				if _, err := c.Write([]byte{b}); err != nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Reason: ReasonHelloTimeout})
			j.nothing(q)
		},
		"tls-ech":     refusedHello(gw443, func(t *testing.T) []byte { return withExtension(helloFor(t, "other-allowed.test"), extensionECH, nil) }, Event{Host: "other-allowed.test", Reason: ReasonECH}),
		"tls-not-tls": refusedHello(gw443, func(*testing.T) []byte { return []byte("SSH-2.0-OpenSSH_9.9\r\n") }, Event{Reason: ReasonNotTLS}),

		"http-host-denied":      refusedHTTP(gw80, "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403, "--allow evil.test:80", Event{Door: DoorHTTP, Host: "evil.test", Method: "GET", Reason: ReasonHost}),
		"http-absolute-vs-host": refusedHTTP(gw80, "GET http://evil.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n", 403, "evil.test", Event{Door: DoorHTTP, Host: "evil.test"}),
		"http-two-host":         refusedHTTP(gw80, "GET / HTTP/1.1\r\nHost: allowed.test\r\nHost: evil.test\r\n\r\n", 400, "", Event{Door: DoorHTTP, Reason: ReasonMalformed}),
		"http-host-port":        refusedHTTP(gw80, "GET / HTTP/1.1\r\nHost: allowed.test:8080\r\n\r\n", 403, "port", Event{Door: DoorHTTP, Host: "allowed.test", Port: 8080, Reason: ReasonPort}),
		"http-smuggle-cl-te": func(t *testing.T) {
			j, _ := setup(t, nil)
			status, _ := raw(t, j.dial("tcp", gw80), "GET /a HTTP/1.1\r\nHost: plain-preset.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPUT /evil HTTP/1.1\r\nHost: plain-preset.test\r\nContent-Length: 0\r\n\r\n")
			if status != 400 && status != 403 && status != 200 {
				t.Errorf("got %d", status)
			}
			for _, r := range j.sink.seen() {
				if r.Method != http.MethodGet {
					t.Errorf("upstream got %s %s", r.Method, r.URL)
				}
			}
			if status == 200 {
				j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Method: "GET"})
			} else {
				j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP})
			}
		},
		"http-get-body": refusedHTTP(gw80, "GET / HTTP/1.1\r\nHost: plain-preset.test\r\nContent-Length: 4096\r\n\r\n"+strings.Repeat("a", 4096), 403, "body", Event{Door: DoorHTTP, Reason: ReasonBody}),
		"http-upgrade":  refusedHTTP(gw80, "GET / HTTP/1.1\r\nHost: plain-preset.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 403, "upgrade", Event{Door: DoorHTTP, Reason: ReasonUpgrade}),

		"mitm-put":        refusedMITM([]string{mitm("PUT /evil-package") + "Content-Length: 4\r\n\r\nabcd"}, 403, Event{Path: "/evil-package", Reason: ReasonMethod}),
		"mitm-post-audit": refusedMITM([]string{mitm("POST /-/npm/v1/security/advisories/bulk") + "Content-Length: 0\r\n\r\n"}, 403, Event{Reason: ReasonMethod, Hint: "npm_config_audit=false"}),
		"mitm-delete": refusedMITM([]string{
			mitm("DELETE /p") + "\r\n", mitm("PATCH /p") + "\r\n", mitm("OPTIONS /p") + "\r\n", mitm("TRACE /p") + "\r\n", mitm("CONNECT allowed.test:443") + "\r\n", mitm("LOOK /p") + "\r\n",
		}, 403, Event{Reason: ReasonMethod}),
		"mitm-host-not-sni": refusedMITM([]string{"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n"}, 421, Event{Host: "other.test", Reason: ReasonHostMismatch}),
		"mitm-h2-authority": func(t *testing.T) {
			j, _ := setup(t, nil)
			c := j.client(gw443, true)
			if status, _ := do(t, c, get(t, "https://allowed.test/one")); status != 200 {
				t.Errorf("first: %d", status)
			}
			r := get(t, "https://allowed.test/two")
			r.Host = "other.test"
			if status, _ := do(t, c, r); status != http.StatusMisdirectedRequest {
				t.Errorf("second: %d", status)
			}
			j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: "allowed.test"})
			j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "other.test", Reason: ReasonHostMismatch})
		},
		"mitm-auth-header": redactedMITM("/pkg", http.Header{"Authorization": {"Bearer attacker"}}, "authorization", func(r *http.Request) bool {
			return r.Header.Get("Authorization") != ""
		}),
		"mitm-long-header": redactedMITM("/pkg", http.Header{"X-Data": {strings.Repeat("a", 16<<10)}}, "x-data", func(r *http.Request) bool { return r.Header.Get("X-Data") != "" }),
		"mitm-query-exfil": redactedMITM("/pkg?d="+token, nil, "query", func(r *http.Request) bool { return r.URL.RawQuery != "" }),
		"mitm-name-miss-flood": func(t *testing.T) {
			j, _ := setup(t, nil)
			j.sink.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
			c := j.client(gw443, false)
			for i := range 200 {
				want := 404
				if i >= 50 {
					want = 403
				}
				if status, _ := do(t, c, get(t, "https://allowed.test/secret-"+strconv.Itoa(i))); status != want {
					t.Fatalf("%d: got %d", i, status)
				}
			}
			if e := j.want(Event{Verdict: VerdictDeny, Reason: ReasonMissLimit}); e.Misses != 50 {
				t.Errorf("event %+v", e)
			}
			if n := len(j.sink.seen()); n != 50 {
				t.Errorf("upstream got %d", n)
			}
		},
		"mitm-inject":            TestInject,
		"mitm-inject-echo":       TestInject,
		"mitm-inject-other-host": TestInjectOnlyThere,

		"connect-allowed": func(t *testing.T) {
			j, _ := setup(t, nil)
			under := j.dial("tcp", "169.254.1.1:3128")
			connectTo(t, under, "allowed.test:443")
			c := tls.Client(under, &tls.Config{ServerName: "allowed.test", RootCAs: j.pool()})
			if status, _ := raw(t, c, "GET /a HTTP/1.1\r\nHost: allowed.test\r\n\r\n"); status != 200 {
				t.Errorf("got %d", status)
			}
			j.want(Event{Verdict: VerdictAllow, Door: DoorConnect, Host: "allowed.test"})
		},
		"connect-denied":       refusedConnect([]string{"evil.test:443"}, 403, Event{Host: "evil.test", Reason: ReasonHost}),
		"connect-ip":           refusedConnect([]string{"198.51.100.7:443", "3325256711:443", "0xc6336407:443", "0306.063.0144.07:443", "[::ffff:198.51.100.7]:443"}, 403, Event{Reason: ReasonIPLiteral}),
		"connect-port":         refusedConnect([]string{"allowed.test:22"}, 403, Event{Host: "allowed.test", Port: 22, Reason: ReasonPort}),
		"connect-userinfo":     refusedConnect([]string{"allowed.test:443@evil.test:443"}, 400, Event{Reason: ReasonMalformed}),
		"connect-sni-mismatch": afterConnect(func(t *testing.T) []byte { return helloFor(t, "other-allowed.test") }, Event{Host: "other-allowed.test", Reason: ReasonSNIMismatch}),
		"connect-not-tls":      afterConnect(func(*testing.T) []byte { return []byte("SSH-2.0-x\r\n") }, Event{Host: "allowed.test", Reason: ReasonNotTLS}),
		"socks": func(t *testing.T) {
			refusedHTTP("169.254.1.1:3128", "\x05\x01\x00\r\n\r\n", 400, "", Event{Door: DoorConnect})(t)
			refusedPacket("tcp", []string{"169.254.1.1:1080"}, []Event{{Door: DoorTCP, Dst: "169.254.1.1:1080"}})(t)
		},

		"dns-a-allowed":     question("udp", "allowed.test.", []uint16{dns.TypeA}, dns.RcodeSuccess, GatewayAddr, Event{Verdict: VerdictAllow, Host: "allowed.test"}, nil),
		"dns-aaaa-allowed":  question("udp", "allowed.test.", []uint16{dns.TypeAAAA}, dns.RcodeSuccess, "", Event{Verdict: VerdictAllow}, nil),
		"dns-https-allowed": question("udp", "allowed.test.", []uint16{dns.TypeHTTPS, dns.TypeSVCB}, dns.RcodeSuccess, "", Event{Verdict: VerdictAllow}, nil),
		"dns-a-denied":      question("udp", "secret.evil.test.", []uint16{dns.TypeA}, nx, "", Event{Verdict: VerdictDeny, Host: "secret.evil.test"}, nil),
		"dns-txt-denied":    question("udp", "evil.test.", []uint16{dns.TypeTXT}, nx, "", Event{Verdict: VerdictDeny}, nil),
		"dns-any-null":      question("udp", "evil.test.", []uint16{dns.TypeANY, dns.TypeNULL, dns.TypeMX, dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeSRV}, nx, "", Event{Verdict: VerdictDeny}, nil),
		"dns-tcp":           question("tcp", "evil.test.", []uint16{dns.TypeA}, nx, "", Event{Verdict: VerdictDeny}, nil),
		"dns-tcp-pipelined": TestResolverPipelined,
		"dns-two-questions": question("udp", "allowed.test.", []uint16{dns.TypeA}, dns.RcodeFormatError, "", Event{Verdict: VerdictDeny, Reason: ReasonMalformed}, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }),
		"dns-sub-of-exact":  question("udp", "secret.allowed.test.", []uint16{dns.TypeA}, nx, "", Event{Verdict: VerdictDeny}, nil),
		"dns-edns-padding": question("udp", "allowed.test.", []uint16{dns.TypeA}, dns.RcodeSuccess, GatewayAddr, Event{Verdict: VerdictAllow}, func(m *dns.Msg) {
			m.SetEdns0(4096, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 400)}}
		}),
		"dns-wildcard-flood": func(t *testing.T) {
			j, q := setup(t, nil)
			for i := range 300 {
				want := dns.RcodeSuccess
				if i >= 16 {
					want = nx
				}
				if resp := j.ask("udp", new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.pkg.test.", i), dns.TypeA)); resp.Rcode != want {
					t.Fatalf("%d: %v", i, resp)
				}
			}
			for i := range 20 { // TLS of those over the cap ends in an alert, of the others in a certificate
				c := tls.Client(j.dial("tcp", gw443), &tls.Config{ServerName: fmt.Sprintf("n%d.pkg.test", i), RootCAs: j.pool()})
				if err := c.Handshake(); (err == nil) != (i < 16) {
					t.Errorf("%d: %v", i, err)
				}
				c.Close()
			}
			j.want(Event{Verdict: VerdictAllow, Door: DoorDNS, Host: "n0.pkg.test"})
			j.want(Event{Verdict: VerdictDeny, Door: DoorDNS, Host: "n16.pkg.test", Reason: ReasonMaxNames})
			j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Host: "n16.pkg.test", Reason: ReasonMaxNames})
			j.nothing(q)
		},
		"dns-direct": func(t *testing.T) {
			for _, network := range []string{"udp", "tcp"} {
				refusedPacket(network, []string{"198.51.100.53:53"}, []Event{{Door: Door(network), Dst: "198.51.100.53:53"}})(t)
			}
		},
		"dns-dot-doh": func(t *testing.T) {
			refusedPacket("tcp", []string{"169.254.1.1:853", "198.51.100.53:853"}, []Event{{Door: DoorTCP, Reason: ReasonPort}, {Door: DoorTCP, Dst: "198.51.100.53:853"}})(t)
			refusedHello("198.51.100.53:443", func(t *testing.T) []byte { return helloFor(t, "dns.resolver.test") }, Event{Host: "dns.resolver.test", Reason: ReasonHost})(t)
		},

		"udp-any":  refusedPacket("udp", []string{"198.51.100.7:9999"}, []Event{{Door: DoorUDP, Proto: "udp", Dst: "198.51.100.7:9999"}}),
		"udp-quic": refusedPacket("udp", []string{gw443, "198.51.100.7:443"}, []Event{{Proto: "udp", Port: 443, Dst: gw443}, {Proto: "udp", Port: 443, Dst: "198.51.100.7:443"}}),
		"icmp-echo": func(t *testing.T) {
			j, q := setup(t, nil)
			c := j.dial("ip4:icmp", "198.51.100.7")
			if _, err := c.Write([]byte{8, 0, 0, 0, 0, 1, 0, 1, 's', 'e', 'c', 'r', 'e', 't'}); err != nil {
				t.Fatal(err)
			}
			j.want(Event{Verdict: VerdictDeny, Door: DoorICMP, Proto: "icmp", Dst: "198.51.100.7"})
			j.nothing(q)
		},
		"ipv6-literal": func(t *testing.T) {
			j, q := setup(t, nil)
			for _, addr := range []string{"[2001:db8::1]:443", "[fe80::1%eth0]:443"} {
				c, err := j.dialErr("tcp", addr)
				if err == nil {
					c.Close()
				}
				if !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.EHOSTUNREACH) {
					t.Errorf("%s: %v", addr, err)
				}
			}
			j.nothing(q)
		},
		"ipv6-mapped": func(t *testing.T) {
			j, q := setup(t, nil)
			err := j.inside(func() error {
				fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				to := &unix.SockaddrInet6{Port: 4444, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 198, 13: 51, 14: 100, 15: 7}}
				return unix.Connect(fd, to)
			})
			if !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("got %v", err)
			}
			j.want(Event{Verdict: VerdictDeny, Door: DoorTCP, Dst: "198.51.100.7:4444"})
			j.nothing(q)
		},
		"multicast": func(t *testing.T) {
			refusedPacket("udp", []string{"224.0.0.251:5353"}, []Event{{Proto: "udp", Dst: "224.0.0.251:5353"}})(t)
			j, _ := setup(t, nil)
			if c, err := j.dialErr("udp", "[ff02::fb%eth0]:5353"); err == nil {
				_, err = c.Write([]byte("secret"))
				c.Close()
				if err == nil {
					t.Error("IPv6 multicast went out")
				}
			}
		},
		"metadata":       refusedHTTP("169.254.169.254:80", "GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", 403, "ip-literal", Event{Dst: "169.254.169.254:80"}),
		"private-rebind": TestPrivateAddressIsNotDialled,
		"host-service": func(t *testing.T) {
			l, err := net.Listen("tcp4", "0.0.0.0:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			for _, p := range []string{port, "22", "2375", "8080"} {
				refusedPacket("tcp", []string{"169.254.1.1:" + p}, []Event{{Door: DoorTCP, Dst: "169.254.1.1:" + p, Reason: ReasonPort}})(t)
			}
		},
		"neighbour-job": func(t *testing.T) {
			a, _ := setup(t, nil)
			b, q := setup(t, nil)
			var l net.Listener
			if err := a.inside(func() (err error) { l, err = net.Listen("tcp4", "0.0.0.0:8081"); return err }); err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			// Both have the same addresses; what is no address of its own is the gateway's to refuse.
			for _, addr := range []string{"169.254.1.2:8081", "127.0.0.1:8081", "169.254.1.6:8081"} {
				if c, err := b.dialErr("tcp", addr); err == nil {
					c.Close()
					t.Errorf("%s: one job reaches the other", addr)
				}
			}
			b.want(Event{Verdict: VerdictDeny, Door: DoorTCP, Dst: "169.254.1.6:8081"})
			b.nothing(q)
		},
		"env-unset": envUnset,

		"npm-ci": script("npm", "npm", `echo '{"name":"x","version":"1.0.0","dependencies":{"express":"4"}}' > package.json && npm install && rm -rf node_modules .npm && npm ci && test "$(ls node_modules | wc -l)" -ge 60`, true, allGET),
		"npm-cafile-conflict": script("npm", "npm", `echo '{"name":"x","version":"1.0.0","dependencies":{"left-pad":"1.3.0"}}' > package.json && echo "cafile=/etc/hostname" > $HOME/.npmrc && npm install`, true,
			allGET),
		"npm-publish": script("npm", "npm", scriptNPMPublish, false, hasDeny(Event{Method: "PUT", Reason: ReasonMethod})),
		"go-mod":      script("go", "go", scriptGoMod, true, allGET),
		"go-direct": script("go", "go", `printf 'module x\n\ngo 1.24\n' > go.mod && GOFLAGS=-modcacherw GONOSUMDB='*' GOPROXY=direct go get vcs.example.test/owner/repo@v1.0.0`, false,
			hasDeny(Event{Host: "vcs.example.test", Reason: ReasonHost})),
		"apt-update": script("debian", "apt-get", scriptAptUpdate, true, allGET),
		"node-fetch": script("npm", "node", scriptNodeFetch, true, allGET),
		"git-clone":  TestGit,
		"git-push":   TestGit,

		"audit-mode": auditMode,
		"learn-mode": func(t *testing.T) {
			out, events, err := online(t, "npm", "npm", scriptNPMInstall, func(c *Config) {
				hosts := map[string]string{}
				c.Policy = Policy{Mode: ModeLearn, Upstream: Upstream{Hosts: hosts}}
				c.Presets[0].Rules = nil // nothing is allowed, so everything is learned
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			used := map[string]bool{}
			for _, e := range events {
				if e.Door == DoorTLS && e.Verdict == VerdictLearned {
					used[e.Host] = true
				}
			}
			learned := map[string]bool{}
			for _, l := range Learn(events) {
				if l.Doubt == "" && l.Host != "" {
					learned[l.Host] = true
				}
			}
			if len(used) == 0 || len(used) != len(learned) {
				t.Errorf("used %d hosts, learned %d", len(used), len(learned))
			}
		},
		"up-cap":             TestUpCap,
		"step-policy":        TestStepBorderCuts,
		"background-process": TestStepLeftBehind,
	}
}

// TestExtendedConnect opens a stream with :protocol (RFC 8441), by hand: no client of
// ours would without the server's leave. net/http refuses it before it comes to us, so
// there is no event: see known.txt.
func TestExtendedConnect(t *testing.T) {
	j, q := setup(t, nil)
	c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "allowed.test", RootCAs: j.pool(), NextProtos: []string{"h2"}})
	frame := func(kind, flags byte, stream uint32, payload []byte) []byte {
		n := len(payload)
		return append([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}, payload...)
	}
	var head []byte
	for _, f := range [][2]string{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":path", "/chat"}, {":authority", "allowed.test"}} {
		head = append(head, 0, byte(len(f[0])))
		head = append(append(head, f[0]...), byte(len(f[1])))
		head = append(head, f[1]...)
	}
	send := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, nil)...)
	send = append(send, frame(1, 4, 1, head)...)
	if _, err := c.Write(send); err != nil {
		t.Fatal(err)
	}
	for {
		var h [9]byte
		if _, err := io.ReadFull(c, h[:]); err != nil {
			t.Fatalf("no answer on the stream: %v", err)
		}
		payload := make([]byte, int(h[0])<<16|int(h[1])<<8|int(h[2]))
		if _, err := io.ReadFull(c, payload); err != nil {
			t.Fatal(err)
		}
		if h[3] == 3 || h[3] == 7 { // RST_STREAM, GOAWAY
			break
		}
		if h[3] == 1 { // HEADERS: the first byte is the status, indexed, if it is a common one
			if payload[0] == 0x88 {
				t.Error("200: the stream is open")
			}
			break
		}
	}
	j.nothing(q)
}

// envUnset runs curl without any proxy setting.
func envUnset(t *testing.T) {
	curl := testenv.NeedTool(t, "curl")
	j, _ := setup(t, nil)
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(bundle, j.n.Files().CABundle, 0o600); err != nil {
		t.Fatal(err)
	}
	for host, ok := range map[string]bool{"allowed.test": true, "evil.test": false} {
		err := j.inside(func() error {
			cmd := exec.CommandContext(t.Context(), curl, "-sS", "--noproxy", "*", "--cacert", bundle, "--resolve", host+":443:169.254.1.1", "https://"+host+"/")
			cmd.Env = []string{}
			return cmd.Run()
		})
		if (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
	}
	j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: "allowed.test"})
	j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Host: "evil.test"})
}

// auditMode makes denied attempts in mode audit: they pass, and the log has them.
func auditMode(t *testing.T) {
	j, _ := setup(t, func(c *Config) { c.Policy.Mode = ModeAudit })
	for _, tt := range []struct {
		at   string
		req  *http.Request
		want Event
	}{
		{"169.254.1.1:443", send(t, "GET", "https://evil.test/x", ""), Event{Door: DoorTLS, Host: "evil.test", Reason: ReasonHost}},
		{"169.254.1.1:80", send(t, "GET", "http://plain.test/x", ""), Event{Door: DoorHTTP, Host: "plain.test", Reason: ReasonHost}},
		{"169.254.1.1:443", send(t, "PUT", "https://allowed.test/evil", "abc"), Event{Door: DoorHTTP, Host: "allowed.test", Method: "PUT", Reason: ReasonMethod}},
	} {
		c := j.client(tt.at, false)
		if status, body := do(t, c, tt.req); status != 200 {
			t.Errorf("%s: got %d %s", tt.req.URL, status, body)
		}
		c.CloseIdleConnections()
		tt.want.Verdict = VerdictWouldDeny
		j.want(tt.want)
	}
	if resp := j.ask("udp", new(dns.Msg).SetQuestion("evil.test.", dns.TypeA)); len(resp.Answer) != 1 {
		t.Errorf("the resolver: %v", resp)
	}
	j.want(Event{Verdict: VerdictWouldDeny, Door: DoorDNS, Host: "evil.test"})
	if len(j.sink.seen()) != 3 {
		t.Errorf("upstream got %d requests", len(j.sink.seen()))
	}
}
