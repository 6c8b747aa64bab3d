// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func TestForStep(t *testing.T) {
	presets := []Preset{{Name: "npm", Rules: []Rule{{Host: "registry.test"}}}, {Name: "go", Rules: []Rule{{Host: "proxy.test"}}}}
	p := Policy{
		Rules: []Rule{{Host: "top.test"}}, Deny: []string{"bad.test"},
		Steps: []StepPolicy{
			{Match: "name=Install *", Presets: []string{"npm"}},
			{Match: "uses=actions/checkout@*", Rules: []Rule{{Host: "git.test"}}},
			{Match: "id=publish", Presets: []string{"npm"}, Rules: []Rule{{Host: "up.test"}}},
			{Match: "*"},
		},
	}
	tests := []struct {
		name string
		step StepName
		want []string
	}{
		{"name", StepName{Name: "Install packages"}, []string{"registry.test/npm"}},
		{"the first one counts", StepName{Name: "Install it", ID: "publish"}, []string{"registry.test/npm"}},
		{"uses", StepName{Uses: "actions/checkout@v5"}, []string{"git.test/"}},
		{"id", StepName{ID: "publish"}, []string{"up.test/", "registry.test/npm"}},
		{"all others", StepName{Name: "install packages"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := p.ForStep(tt.step, presets)
			var rules []string
			for _, r := range got.Rules {
				rules = append(rules, r.Host+"/"+r.Preset)
			}
			if diff := cmp.Diff(tt.want, rules); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
			if len(got.Deny) != 1 || got.Steps != nil {
				t.Errorf("policy %+v", got)
			}
		})
	}
}

// steps opens a job of two steps: the first may reach allowed.test and the preset,
// the second other-allowed.test. owner is whose every connection is.
func steps(t *testing.T) (j *job, set func(string), owner *atomic.Value) {
	t.Helper()
	owner = &atomic.Value{}
	owner.Store("")
	policy := Policy{Steps: []StepPolicy{
		{Match: "id=one", Presets: []string{"npm"}, Rules: []Rule{{Host: "allowed.test"}}},
		{Match: "id=two", Presets: []string{"npm"}, Rules: []Rule{{Host: "other-allowed.test"}, {Host: "allowed.test", Ports: []uint16{8443}}}},
		{Match: "*"},
	}}
	var presets []Preset
	j = openJob(t, func(c *Config) {
		policy.Upstream = c.Policy.Upstream
		presets = c.Presets
		c.Policy, c.Presets, c.StepPresets = policy, nil, presets
		c.StepOf = func(int) string { return owner.Load().(string) }
		c.LiveSteps = func() []string { return []string{"one", "two"} }
	})
	set = func(id string) {
		t.Helper()
		if err := j.n.SetStep(id, policy.ForStep(StepName{ID: id}, presets)); err != nil {
			t.Fatal(err)
		}
	}
	return j, set, owner
}

// reaches says whether a TLS connection to a host comes to its server.
func (j *job) reaches(host string) bool {
	j.t.Helper()
	c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: host, RootCAs: j.pool()})
	defer c.Close()
	return c.Handshake() == nil
}

func TestStepPolicies(t *testing.T) {
	j, set, owner := steps(t)
	if j.reaches("allowed.test") || j.reaches("preset.test") {
		t.Error("before any step runs, the policy of steps opened something")
	}
	set("one")
	owner.Store("one")
	if !j.reaches("allowed.test") || j.reaches("other-allowed.test") || !j.reaches("preset.test") {
		t.Error("the first step")
	}
	set("two")
	owner.Store("two")
	if j.reaches("allowed.test") || !j.reaches("other-allowed.test") {
		t.Error("the second step")
	}
	if e := j.want(Event{Verdict: VerdictDeny, Host: "allowed.test", Reason: ReasonPort}); e.Step != "two" {
		t.Errorf("event %+v", e)
	}
	set("three")
	owner.Store("three")
	if j.reaches("other-allowed.test") || j.reaches("preset.test") {
		t.Error("a step that may reach nothing")
	}
}

// What a step left behind has the stricter of its own and the running step's policy,
// and so has what belongs to nobody that we could see.
func TestStepLeftBehind(t *testing.T) {
	for _, whose := range []string{"one", ""} {
		t.Run("of step "+whose, func(t *testing.T) {
			j, set, owner := steps(t)
			set("one")
			set("two")
			owner.Store(whose)
			if j.reaches("other-allowed.test") {
				t.Error("it got what the second step may reach")
			}
			if j.reaches("allowed.test") {
				t.Error("it kept what the first step might reach")
			}
			if !j.reaches("preset.test") {
				t.Error("it lost what both may reach")
			}
			e := j.want(Event{Verdict: VerdictDeny, Host: "other-allowed.test", Reason: ReasonHost})
			if e.Step != "two" || e.PID == 0 {
				t.Errorf("event %+v", e)
			}
			if resp := j.ask("udp", new(dns.Msg).SetQuestion("other-allowed.test.", dns.TypeA)); resp.Rcode != dns.RcodeNameError {
				t.Errorf("the resolver: %v", resp)
			}
		})
	}
}

// A connection does not outlive the step whose policy allowed it.
func TestStepBorderCuts(t *testing.T) {
	j, set, owner := steps(t)
	set("one")
	owner.Store("one")
	spliced := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "allowed.test", RootCAs: j.pool()})
	if status, _ := raw(t, spliced, "GET /1 HTTP/1.1\r\nHost: allowed.test\r\n\r\n"); status != 200 {
		t.Fatal("before the border")
	}
	kept := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "preset.test", RootCAs: j.pool()})
	if status, _ := raw(t, kept, "GET /1 HTTP/1.1\r\nHost: preset.test\r\n\r\n"); status != 200 {
		t.Fatal("before the border")
	}
	before := len(j.sink.seen())
	set("three")
	owner.Store("three")
	_, _ = io.WriteString(spliced, "GET /2 HTTP/1.1\r\nHost: allowed.test\r\n\r\n")
	if b, err := io.ReadAll(spliced); len(b) > 0 {
		t.Errorf("the spliced connection lives on: %q, %v", b, err)
	}
	j.want(Event{Verdict: VerdictDeny, Host: "allowed.test", Reason: ReasonStep})
	// Its first request had its whole answer, so that there was nothing to cut.
	if status, _ := raw(t, kept, "GET /2 HTTP/1.1\r\nHost: preset.test\r\n\r\n"); status != 403 {
		t.Errorf("the kept connection: %d", status)
	}
	if e := j.want(Event{Verdict: VerdictDeny, Host: "preset.test", Reason: ReasonHost}); e.Step != "three" {
		t.Errorf("event %+v", e)
	}
	if n := len(j.sink.seen()); n != before {
		t.Errorf("%d requests came through after the border", n-before)
	}
}

// A request that is on its way does not outlive the step either.
func TestStepBorderCutsRequests(t *testing.T) {
	j, set, owner := steps(t)
	set("one")
	owner.Store("one")
	arrived, release := make(chan struct{}), make(chan struct{})
	j.sink.answer = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begin\n")
		_ = http.NewResponseController(w).Flush()
		close(arrived)
		select {
		case <-release:
		case <-r.Context().Done(): // the gateway has hung up
		}
		_, _ = io.WriteString(w, "end\n")
	}
	t.Cleanup(func() { close(release) })
	c := long(t, j)
	<-arrived
	set("two") // may reach the host too
	j.mu.Lock()
	if slices.ContainsFunc(j.events, func(e Event) bool { return e.Reason == ReasonStep }) {
		t.Error("cut, though the step may have it")
	}
	j.mu.Unlock()
	set("three")
	if b, _ := io.ReadAll(c); strings.Contains(string(b), "end") {
		t.Errorf("the request lives on: %q", b)
	}
	if e := j.want(Event{Verdict: VerdictDeny, Host: "preset.test", Path: "/long", Reason: ReasonStep}); e.Step != "three" {
		t.Errorf("event %+v", e)
	}
}

// long sends a request for /long of preset.test.
func long(t *testing.T, j *job) net.Conn {
	t.Helper()
	c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "preset.test", RootCAs: j.pool()})
	if _, err := io.WriteString(c, "GET /long HTTP/1.1\r\nHost: preset.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return c
}

// A request is of the step in which it began, whenever it ends.
func TestStepOfRequest(t *testing.T) {
	j, set, owner := steps(t)
	set("one")
	owner.Store("one")
	arrived, release := make(chan struct{}), make(chan struct{})
	j.sink.answer = func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}
	long(t, j)
	<-arrived
	set("two")
	close(release)
	if e := j.want(Event{Verdict: VerdictAllow, Host: "preset.test", Path: "/long"}); e.Step != "one" {
		t.Errorf("event %+v", e)
	}
}

// What nobody waits for any more is not a denial: the step before it had its answer,
// and has hung up.
func TestStepBorderAfterHangUp(t *testing.T) {
	j, set, owner := steps(t)
	set("one")
	owner.Store("one")
	arrived, release := make(chan struct{}), make(chan struct{})
	j.sink.answer = func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}
	t.Cleanup(func() { close(release) })
	c := j.dial("tcp", "169.254.1.1:443")
	spliced := tls.Client(c, &tls.Config{ServerName: "allowed.test", RootCAs: j.pool()})
	if _, err := io.WriteString(spliced, "GET /long HTTP/1.1\r\nHost: allowed.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-arrived
	_ = c.Close()
	for hung := false; !hung; time.Sleep(time.Millisecond) {
		for _, p := range j.n.gateway.passages.all() {
			hung = hung || hungUp(p.conn)
		}
	}
	set("three")
	if e := j.want(Event{Verdict: VerdictAllow, Host: "allowed.test"}); !e.Opaque || e.Down == 0 || e.Step != "one" {
		t.Errorf("event %+v", e)
	}
}

// The job has its answer with the last byte; what comes after it is not cut.
func TestPassageWhole(t *testing.T) {
	for _, tt := range []struct {
		name  string
		body  io.Reader
		size  int64
		reads int // before the border
		cut   bool
	}{
		{"length known", strings.NewReader("all"), 3, 1, false},
		{"length known, half of it", io.MultiReader(strings.NewReader("a"), strings.NewReader("ll")), 3, 1, true},
		{"nothing in it", strings.NewReader(""), 0, 1, false},
		{"length unknown, the end seen", strings.NewReader("all"), -1, 2, false},
		{"length unknown, more may come", strings.NewReader("all"), -1, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &passage{}
			r := &stepReader{io.NopCloser(tt.body), p, tt.size}
			for range tt.reads {
				_, _ = r.Read(make([]byte, 8))
			}
			p.state.CompareAndSwap(passageOpen, passageCut)
			e := Event{Verdict: VerdictAllow}
			p.explain(&e)
			if denied := e.Verdict == VerdictDeny; denied != tt.cut {
				t.Errorf("denied: %v", denied)
			}
			if _, err := r.Read(make([]byte, 8)); errors.Is(err, errStep) != tt.cut {
				t.Errorf("then: %v", err)
			}
		})
	}
}

// What Open was not told of has no door and no certificate.
func TestSetStepRefuses(t *testing.T) {
	j := openJob(t, nil)
	for _, p := range []Policy{
		{Rules: []Rule{{Host: "allowed.test", Ports: []uint16{9999}}}},
		{Rules: []Rule{{Host: "evil.test", TLS: TLSTerminate}}},
		{Rules: []Rule{{Host: "Evil.test"}}},
	} {
		if err := j.n.SetStep("x", p); err == nil {
			t.Errorf("%+v", p)
		}
	}
	if !j.reaches("allowed.test") {
		t.Error("a policy that was refused is in force")
	}
}

// A host at a private address is reached by its own rule in every step, and by no
// other way when a step has begun.
func TestStepPrivateHost(t *testing.T) {
	outside := newSink(t)
	ap := netip.MustParseAddrPort(outside.plain)
	near := Rule{Host: "near.test", Ports: []uint16{ap.Port()}, Private: true}
	far := Rule{Host: "near.test", Ports: []uint16{ap.Port()}}
	j := openJob(t, func(c *Config) {
		c.Policy.Upstream.DNS = dnsServer(t, ap.Addr().String())
		c.Policy.Rules = []Rule{near}
	})
	at := netip.AddrPortFrom(netip.MustParseAddr(GatewayAddr), ap.Port()).String()
	for i, tt := range []struct {
		rule Rule
		want int
	}{{near, 200}, {far, 502}, {near, 200}, {far, 502}} {
		if err := j.n.SetStep(strconv.Itoa(i), Policy{Rules: []Rule{tt.rule}}); err != nil {
			t.Fatal(err)
		}
		if status, body := do(t, j.client(at, false), get(t, "http://near.test:"+strconv.Itoa(int(ap.Port()))+"/")); status != tt.want {
			t.Errorf("step %d: got %d %q", i, status, body)
		}
	}
}

// A connection outlives the process that made it, and waits for its turn. That its
// process cannot be seen any more, nor any other of its step, does not make it the
// running step's.
func TestStepOfTheGone(t *testing.T) {
	policy := Policy{Steps: []StepPolicy{
		{Match: "id=one", Rules: []Rule{{Host: "allowed.test"}}},
		{Match: "id=two", Rules: []Rule{{Host: "plain.test"}}},
	}}
	const ask = "GET /x HTTP/1.1\r\nHost: plain.test\r\n\r\n"
	open := func(t *testing.T) (*job, func(id string, alive ...string), *atomic.Value) {
		t.Helper()
		alive := &atomic.Value{}
		alive.Store([]string{})
		j := openJob(t, func(c *Config) {
			policy.Upstream = c.Policy.Upstream
			policy.Upstream.Hosts["allowed.test"] = policy.Upstream.Hosts["plain.test"]
			c.Policy, c.Presets = policy, nil
			c.Processes = func() []int { return nil }
			c.StepOf = func(int) string { return "" }
			c.LiveSteps = func() []string { return alive.Load().([]string) }
		})
		return j, func(id string, live ...string) {
			t.Helper()
			alive.Store(live)
			if err := j.n.SetStep(id, policy.ForStep(StepName{ID: id}, nil)); err != nil {
				t.Fatal(err)
			}
		}, alive
	}
	t.Run("made before the border", func(t *testing.T) {
		j, set, _ := open(t)
		set("one")
		c := j.dial("tcp", "169.254.1.1:80")
		if status, _ := raw(t, c, "GET /x HTTP/1.1\r\nHost: allowed.test\r\n\r\n"); status != http.StatusOK {
			t.Fatalf("the first step: %d", status)
		}
		set("two", "two")
		if status, _ := raw(t, c, ask); status != http.StatusForbidden {
			t.Errorf("it got what the second step may reach: %d", status)
		}
	})
	t.Run("made after it, by what was left", func(t *testing.T) {
		j, set, alive := open(t)
		set("one")
		set("two", "one")
		alive.Store([]string{"two"})
		if status, _ := raw(t, j.dial("tcp", "169.254.1.1:80"), ask); status != http.StatusForbidden {
			t.Errorf("it got what the second step may reach: %d", status)
		}
	})
	t.Run("nothing was left", func(t *testing.T) {
		j, set, _ := open(t)
		set("one")
		set("two", "two")
		if status, _ := raw(t, j.dial("tcp", "169.254.1.1:80"), ask); status != http.StatusOK {
			t.Errorf("the second step lost what it may reach: %d", status)
		}
	})
}

// What a step left behind is read as strictly as a registry's requests are, if it may
// reach the host as a registry only.
func TestStepLeftBehindReadsARegistry(t *testing.T) {
	owner := &atomic.Value{}
	policy := Policy{Steps: []StepPolicy{
		{Match: "id=one", Presets: []string{"npm"}},
		{Match: "id=two", Rules: []Rule{{Host: "preset.test", Methods: []string{"GET", "PUT"}}}},
	}}
	var presets []Preset
	j := openJob(t, func(c *Config) {
		policy.Upstream = c.Policy.Upstream
		presets = c.Presets
		c.Policy, c.Presets, c.StepPresets = policy, nil, presets
		c.StepOf = func(int) string { return owner.Load().(string) }
		c.LiveSteps = func() []string { return []string{"one", "two"} }
	})
	for _, id := range []string{"one", "two"} {
		if err := j.n.SetStep(id, policy.ForStep(StepName{ID: id}, presets)); err != nil {
			t.Fatal(err)
		}
	}
	for _, whose := range []string{"two", "one"} {
		owner.Store(whose)
		r := get(t, "https://preset.test/"+whose+"?d=secret")
		r.Header.Set("Authorization", "Bearer of the job")
		if status, body := do(t, j.client("169.254.1.1:443", false), r); status != http.StatusOK {
			t.Fatalf("%s: %d %s", whose, status, body)
		}
		seen := j.sink.seen()
		got := seen[len(seen)-1]
		if all := got.Header.Get("Authorization") + got.URL.RawQuery; (all == "") != (whose == "one") {
			t.Errorf("of step %s the registry got %q", whose, all)
		}
	}
}
