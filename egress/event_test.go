// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEventJSON(t *testing.T) {
	e := Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), Type: "egress", Job: "j1", Step: "Install",
		Verdict: VerdictDeny, Door: DoorTLS, Host: "x.test", Port: 443, Dst: "169.254.1.1:443", Rule: "default", Reason: ReasonHost,
		Process: Process{PID: 4711, Exe: "/usr/bin/node", Argv0: "node", Chain: []string{"sh", "npm", "node"}},
		Package: Package{Pkg: "left-pad@1.3.0", Script: "postinstall", PkgBy: EvidenceClaimed}, MS: 1,
	}
	got, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2026-01-02T03:04:05.678Z","type":"egress","job":"j1","step":"Install","verdict":"deny","door":"tls",` +
		`"host":"x.test","port":443,"dst":"169.254.1.1:443","rule":"default","reason":"host",` +
		`"pid":4711,"exe":"/usr/bin/node","argv0":"node","chain":["sh","npm","node"],"pkg":"left-pad@1.3.0","script":"postinstall","pkg_by":"claimed","up":0,"down":0,"ms":1}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestSummarize(t *testing.T) {
	node := Process{PID: 7, Exe: "/usr/bin/node"}
	got := Summarize([]Event{
		{Door: DoorDNS, Verdict: VerdictAllow, Host: "registry.test"},
		{Door: DoorHTTP, Verdict: VerdictAllow, Host: "registry.test", Port: 443, Up: 1, Down: 10},
		// Of a package that it fetches a process does not claim to be.
		{Door: DoorHTTP, Verdict: VerdictAllow, Host: "registry.test", Port: 443, Up: 2, Down: 20, Process: node, Package: Package{Pkg: "left-pad@1.3.0"}},
		{Door: DoorHTTP, Verdict: VerdictDeny, Host: "registry.test", Port: 443, Method: "PUT", Reason: ReasonMethod},
		{Door: DoorTCP, Verdict: VerdictDeny, Dst: "198.51.100.7:4444", Port: 4444, Reason: ReasonNoName},
		{Door: DoorDNS, Verdict: VerdictDeny, Host: "evil.test", Reason: ReasonHost, Process: node, Count: 3},
		{Door: DoorTLS, Verdict: VerdictDeny, Host: "evil.test", Port: 443, Reason: ReasonHost},
		{Door: DoorDNS, Verdict: VerdictDeny, Host: "_x._tcp.evil.test", Reason: ReasonHost},
	})
	want := []Summary{
		{Host: "evil.test", Door: DoorDNS, Verdict: VerdictDeny, Reason: ReasonHost, Count: 3, First: node, Fix: "--allow evil.test"},
		{Host: "198.51.100.7:4444", Port: 4444, Door: DoorTCP, Verdict: VerdictDeny, Reason: ReasonNoName, Count: 1},
		{Host: "_x._tcp.evil.test", Door: DoorDNS, Verdict: VerdictDeny, Reason: ReasonHost, Count: 1},
		{Host: "evil.test", Port: 443, Door: DoorTLS, Verdict: VerdictDeny, Reason: ReasonHost, Count: 1, Fix: "--allow evil.test:443"},
		{Host: "registry.test", Port: 443, Door: DoorHTTP, Verdict: VerdictDeny, Reason: ReasonMethod, Count: 1},
		{Host: "registry.test", Port: 443, Door: DoorHTTP, Verdict: VerdictAllow, Count: 2, Up: 3, Down: 30, First: node},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// What is folded is counted with its bytes, and each byte once.
func TestRecorderFoldsBytes(t *testing.T) {
	var up, down int64
	count := 0
	r := newRecorder("j", 10, func(e Event) { up, down, count = up+e.Up, down+e.Down, count+max(e.Count, 1) })
	for i := range 4 {
		r.emit(Event{Time: time.Unix(1000, 0), Verdict: VerdictNote, Door: DoorHTTP, Path: "/a", Up: 10, Down: int64(100 * i)})
	}
	r.close()
	if up != 40 || down != 600 || count != 4 {
		t.Errorf("up %d, down %d of %d", up, down, count)
	}
}

// What a package's metadata makes large counts too.
func TestRecorderBoundsPackages(t *testing.T) {
	kept := 0
	r := newRecorder("j", 1<<20, func(Event) { kept++ })
	hidden := make([]string, 1000)
	for i := range hidden {
		hidden[i] = "1.0.0-beta"
	}
	for range 1000 {
		r.emit(Event{Verdict: VerdictAllow, Door: DoorHTTP, Fetched: &Fetched{Name: "a", Hidden: hidden}})
	}
	if most := eventBytesMost / len("1.0.0-beta") / 1000; kept > most || kept == 0 || !r.full() {
		t.Errorf("%d events are kept, %d at most would fit; full: %v", kept, most, r.full())
	}
}

func TestRecorderFolds(t *testing.T) {
	var got []Event
	r := newRecorder("j", 3, func(e Event) { got = append(got, e) })
	at := time.Unix(1000, 0)
	for i := range 5 {
		r.emit(Event{Time: at.Add(time.Duration(i) * 100 * time.Millisecond), Verdict: VerdictDeny, Door: DoorTCP, Dst: "198.51.100.7:1"})
	}
	r.emit(Event{Time: at.Add(2 * time.Second), Verdict: VerdictDeny, Door: DoorTCP, Dst: "198.51.100.7:1"})
	r.emit(Event{Time: at, Verdict: VerdictAllow, Door: DoorHTTP})
	r.emit(Event{Time: at, Verdict: VerdictAllow, Door: DoorHTTP})
	r.close()
	var counts []int
	for _, e := range got {
		counts = append(counts, e.Count)
	}
	// The first, the four that followed it, the next window; the cap of three; what is over it.
	if diff := cmp.Diff([]int{0, 4, 0, 2}, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if last := got[len(got)-1]; last.Reason != ReasonLimit || last.Verdict != VerdictAllow {
		t.Errorf("last event %+v", last)
	}
}

func TestCheckGlobal(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("192.0.2.9")}
	tests := []struct {
		name string
		addr string
		ok   bool
	}{
		{"global", "192.0.2.1", true},
		{"global IPv6", "2001:db8::1", true},
		{"our own", "192.0.2.9", false},
		{"our own, mapped", "::ffff:192.0.2.9", false},
		{"unspecified", "0.0.0.0", false},
		{"this network", "0.1.2.3", false},
		{"loopback", "127.0.0.53", false},
		{"private A", "10.0.0.5", false},
		{"private B", "172.16.0.1", false},
		{"private C", "192.168.1.1", false},
		{"metadata", "169.254.169.254", false},
		{"cloud host", "168.63.129.16", false},
		{"carrier-grade NAT", "100.100.100.200", false},
		{"multicast", "224.0.0.1", false},
		{"broadcast", "255.255.255.255", false},
		{"IPv6 loopback", "::1", false},
		{"IPv6 private", "fd00:ec2::254", false},
		{"IPv6 link-local", "fe80::1%eth0", false},
		{"mapped loopback", "::ffff:127.0.0.1", false},
		{"compatible", "::7f00:1", false},
		{"NAT64 of loopback", "64:ff9b::7f00:1", false},
		{"NAT64 of a private one", "64:ff9b::a00:5", false},
		{"NAT64 of metadata", "64:ff9b::a9fe:a9fe", false},
		{"NAT64 of our own", "64:ff9b::c000:209", false},
		{"NAT64 of a global one", "64:ff9b::c000:201", true},
		{"NAT64 of somebody's own", "64:ff9b:1::c000:201", false},
		{"6to4", "2002:7f00:1::", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkGlobal(netip.MustParseAddr(tt.addr), own)
			if diff := cmp.Diff(tt.ok, err == nil); diff != "" {
				t.Errorf("allowed (-want +got):\n%s", diff)
			}
		})
	}
}
