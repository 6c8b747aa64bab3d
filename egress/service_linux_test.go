// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answerService answers what a test asks of a service.
func answerService(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/panic":
		panic("on purpose")
	case "/wait":
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(rw, r.Proto+" "+r.Method+" "+strings.Repeat("x", int(n)))
	}
}

func openServed(t *testing.T, change func(*Config)) (*job, string) {
	t.Helper()
	j := openJob(t, func(cfg *Config) {
		cfg.Services = []Service{{"other", http.NotFoundHandler()}, {"results", http.HandlerFunc(answerService)}}
		if change != nil {
			change(cfg)
		}
	})
	url := j.n.ServiceURL("results")
	if !strings.HasPrefix(url, "http://"+GatewayAddr+":") || j.n.ServiceURL("none") != "" {
		t.Fatalf("the service is at %q", url)
	}
	return j, strings.TrimPrefix(url, "http://")
}

// TestService: a job reaches what the runner serves, at the gateway's address only, and
// no event tells of it. A panic costs one request.
func TestService(t *testing.T) {
	j, addr := openServed(t, nil)
	c := j.client(addr, false)
	send := func(method, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return do(t, c, r)
	}
	for range 3 {
		if status, body := send("PUT", "/", "1234"); status != 200 || body != "HTTP/1.1 PUT xxxx" {
			t.Errorf("%d %q", status, body)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/panic", nil) // a GET would be tried again
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.Do(r); err == nil {
		resp.Body.Close()
		t.Error("a panic gave an answer")
	}
	if status, _ := send("GET", "/", ""); status != 200 {
		t.Errorf("after a panic: %d", status)
	}
	if n := j.n.Served()["results"]; n != 5 {
		t.Errorf("%d requests were counted, want 5", n)
	}
	j.mu.Lock()
	if len(j.events) > 0 {
		t.Errorf("events: %+v", j.events)
	}
	j.mu.Unlock()
	if env := j.n.Files().Env; env["no_proxy"] != GatewayAddr || env["NO_PROXY"] != GatewayAddr {
		t.Errorf("%v", env)
	}
	_, port, _ := net.SplitHostPort(addr)
	for _, to := range []string{"127.0.0.1:" + port, "198.51.100.7:" + port} {
		if c, err := j.dialErr("tcp", to); err == nil {
			c.Close()
			t.Errorf("%s answers", to)
		}
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorTCP, Dst: "198.51.100.7:" + port})
	// From the host the address leads anywhere but here.
	if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		_, _ = c.Read(make([]byte, 1))
		c.Close()
	}
	if n := j.n.Served()["results"]; n != 5 {
		t.Error("the host reaches it")
	}
	j.untouched()
}

// TestServiceRest: the explicit proxy and names do not lead to it.
func TestServiceRest(t *testing.T) {
	j, addr := openServed(t, nil)
	for _, head := range []string{
		"GET http://" + addr + "/ HTTP/1.1\r\nHost: " + addr + "\r\nConnection: close\r\n\r\n",
		"CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n",
	} {
		if status, body := raw(t, j.dial("tcp", "169.254.1.1:3128"), head); status == 200 {
			t.Errorf("%q: %d %q", head, status, body)
		}
	}
}

// TestServicePort: a port that a policy opens is left to it.
func TestServicePort(t *testing.T) {
	j, addr := openServed(t, func(cfg *Config) {
		cfg.Policy.Rules = append(cfg.Policy.Rules, Rule{Host: "allowed.test", Ports: []uint16{servicePort, servicePort + 1}})
	})
	if addr != GatewayAddr+":8483" {
		t.Errorf("at %s", addr)
	}
	status, _ := raw(t, j.dial("tcp", GatewayAddr+":8480"), "GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
	if status != http.StatusForbidden {
		t.Errorf("the door answers %d", status)
	}
}

// TestServiceCaps: connections to a service count like all others.
func TestServiceCaps(t *testing.T) {
	j, addr := openServed(t, func(cfg *Config) {
		cfg.Policy.Limits.Connections = 3
		cfg.Policy.Limits.HelloTimeout = time.Minute // none of them makes room
	})
	for range 3 {
		j.dial("tcp", addr)
	}
	if over, err := j.dialErr("tcp", addr); err == nil { // else it was reset at once
		_ = over.SetDeadline(soon())
		if _, err := over.Read(make([]byte, 1)); err == nil {
			t.Error("a connection too many is served")
		}
		over.Close()
	}
	j.want(Event{Verdict: VerdictDeny, Reason: ReasonLimit})
	if n := j.n.Served()["results"]; n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestServiceSilent: a connection that does not say what it wants is ended.
func TestServiceSilent(t *testing.T) {
	j, addr := openServed(t, func(cfg *Config) { cfg.Policy.Limits.HelloTimeout = 200 * time.Millisecond })
	if _, err := j.dial("tcp", addr).Read(make([]byte, 1)); err == nil {
		t.Error("who says nothing got something")
	}
	j.want(Event{Verdict: VerdictDeny, Reason: ReasonHelloTimeout})
	if n := j.n.Served()["results"]; n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestServiceClose: closing the network ends requests that are served, and waits.
func TestServiceClose(t *testing.T) {
	ended := make(chan error, 1)
	j, addr := openServed(t, func(cfg *Config) {
		cfg.Services[1].Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			ended <- context.Cause(r.Context())
		})
	})
	c := j.dial("tcp", addr)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for j.n.Served()["results"] == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := j.n.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, errClosed) {
			t.Error(err)
		}
	default:
		t.Error("a request is still served")
	}
}

// TestServiceNames: what makes no service is refused.
func TestServiceNames(t *testing.T) {
	h := http.NotFoundHandler()
	for name, list := range map[string][]Service{
		"none": {{"", h}}, "handler": {{"a", nil}}, "twice": {{"a", h}, {"a", h}}, "many": make([]Service, servicesMost+1),
	} {
		if _, _, err := newGateway(Config{ID: "x", Services: list}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
