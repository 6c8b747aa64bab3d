// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// hostileReport has a name in every place that a job, or who forged the report, can
// fill.
func hostileReport(name string) executor.Report {
	who := egress.Process{PID: 41, Exe: "/usr/bin/" + name, Argv0: name, Chain: []string{name, name}}
	pkg := egress.Package{Pkg: name, Script: name, PkgBy: egress.Evidence(name)}
	return executor.Report{
		Schema: executor.ReportSchema, ID: name, Kind: "exec", Command: []string{name, name}, Started: time.Unix(0, 0),
		Conclusion: executor.Conclusion(name), Cause: sandbox.Cause(name), Signal: name, Profile: name, Rootfs: name,
		Error:   &executor.ReportError{Code: name, What: name, Why: name, Fix: name},
		Layers:  []sandbox.LayerReport{{Name: sandbox.Layer(name), State: sandbox.LayerState(name), Detail: name}},
		Denials: []executor.ReportDenial{{Syscall: name, Errno: name, Exe: name, PID: 1, Step: name}, {Path: name, Rule: name, Fix: name, Claimed: true}},
		Egress: executor.ReportEgress{
			Events: []egress.Event{{
				Step: name, Verdict: egress.Verdict(name), Door: egress.Door(name), Host: name, Dst: name, Method: name, Path: name, QType: name,
				Rule: name, Reason: name, Hint: name, Process: who, Package: pkg,
			}, {Host: name, Verdict: egress.VerdictDeny, Process: who}},
			Summary: []egress.Summary{{Host: name, Door: egress.Door(name), Verdict: egress.Verdict(name), Reason: name, First: who, Fix: name, Steps: []string{name}, Wanted: []egress.Wanted{{Package: pkg, Count: 1}}}},
		},
		Packages: []executor.ReportPackage{{Ecosystem: name, Name: name, Version: name, Digest: name}},
		Changed:  []executor.Change{{Op: name, Path: name, Note: name, Fix: name}},
	}
}

// skeleton is the markup of a page without its texts and values.
func skeleton(t testing.TB, page string) string {
	t.Helper()
	var b strings.Builder
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta"}, xml.HTMLEntity
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			b.WriteString("<" + e.Name.Local)
			for _, a := range e.Attr {
				b.WriteString(" " + a.Name.Local)
			}
			b.WriteString(">")
		}
	}
}

func write(t testing.TB, r executor.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, ""); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func hostileNames() []string {
	return []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><script>alert(1)</script>`,
		`</style><svg onload=alert(1)>`, `</svg></text><iframe src=javascript:alert(1)>`, "]]>--><!--", `&lt;script&gt;`, "javascript:alert(1)",
		"\u202egnp.exe\u2066\u2069\u200f", "a\x00b\x1b[31mc\u0085d\xff", "{{.}}${x}`", strings.Repeat("A", 10<<10), strings.Repeat("\u0301\u0489", 4000), "مرحبا שלום",
	}
}

// Whatever the names are, the page has the same markup as with harmless ones.
func TestHostileNamesAreNeutral(t *testing.T) {
	want := skeleton(t, write(t, hostileReport("harmless")))
	if !strings.Contains(want, "<svg") || !strings.Contains(want, "<td") {
		t.Fatal(want)
	}
	for _, name := range hostileNames() {
		page := write(t, hostileReport(name))
		if got := skeleton(t, page); got != want {
			t.Errorf("%.40q changes the markup", name)
		}
		if i := strings.IndexFunc(page, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
			t.Errorf("%.40q: the page holds %q", name, page[max(0, i-20):min(len(page), i+20)])
		}
		if len(page) > 100<<10 {
			t.Errorf("%.40q: the page has %d bytes", name, len(page))
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, name := range hostileNames() {
		f.Add(name)
	}
	want := skeleton(f, write(f, hostileReport("harmless")))
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || name == "/" { // empty parts are left out
			return
		}
		got := skeleton(t, write(t, hostileReport("x"+name)))
		if got != want {
			t.Errorf("%q changes the markup", name)
		}
	})
}

// The page asks for nothing, and would be let to do nothing.
func TestPageIsAlone(t *testing.T) {
	page := write(t, hostileReport("harmless"))
	for _, bad := range []string{"<script", "<link", "<img", "src=", "href=", "url(", "@import", " style=", "<a ", "<form", "http:", "https:"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if i, j := strings.Index(page, "Content-Security-Policy"), strings.Index(page, "<style"); i < 0 || i > j || !strings.Contains(page, "default-src 'none'; style-src 'sha256-") {
		t.Error("no policy in front of what it is for")
	}
}

func TestGraph(t *testing.T) {
	npm := egress.Process{PID: 1, Exe: "/usr/bin/node"}
	pkg := egress.Package{Pkg: "evil@1", Script: "postinstall", PkgBy: egress.EvidenceProven}
	g := newGraph(executor.Report{Command: []string{"/bin/npm"}, Egress: executor.ReportEgress{Events: []egress.Event{
		{Door: egress.DoorDNS, Verdict: egress.VerdictAllow, Host: "r.test"},
		{Door: egress.DoorHTTP, Verdict: egress.VerdictAllow, Host: "r.test", Port: 443, Process: npm, Count: 2},
		{Door: egress.DoorHTTP, Verdict: egress.VerdictDeny, Host: "r.test", Port: 443, Process: npm, Package: pkg},
		{Door: egress.DoorTCP, Verdict: egress.VerdictDeny, Dst: "198.51.100.7:4444", Port: 4444, Step: "Build"},
	}}})
	want := [columns][]node{
		{{"npm", "command", 2, 1}, {"Build", "step", 0, 1}},
		{{"node", "", 2, 0}, {"evil@1", "postinstall, proven", 0, 1}, {"unknown process", "", 0, 1}},
		{{"r.test", "", 2, 1}, {"198.51.100.7:4444", "tcp", 0, 1}},
	}
	if fmt.Sprint(g.nodes) != fmt.Sprint(want) {
		t.Errorf("nodes\n%v\nwant\n%v", g.nodes, want)
	}
	if got, want := fmt.Sprint(g.edges), "[[{0 0 false 2} {0 1 true 1} {1 2 true 1}] [{0 0 false 2} {1 0 true 1} {2 1 true 1}]]"; got != want {
		t.Errorf("edges %s, want %s", got, want)
	}
}

// However many hosts a job asks for, the picture stays of a size; what is not drawn is
// counted, and refusals are drawn first.
func TestGraphIsBounded(t *testing.T) {
	var events []egress.Event
	total := 0
	for i := range 3000 {
		e := egress.Event{Door: egress.DoorTLS, Verdict: egress.VerdictAllow, Host: fmt.Sprintf("h%d.test", i), Port: 443}
		if i == 2000 {
			e.Verdict = egress.VerdictDeny
		}
		total++
		events = append(events, e)
	}
	g := newGraph(executor.Report{Egress: executor.ReportEgress{Events: events}})
	hosts := g.nodes[columnHost]
	if len(hosts) != columnMost || !slices.ContainsFunc(hosts, func(n node) bool { return n.name == "h2000.test" }) {
		t.Errorf("hosts %v", hosts)
	}
	n := 0
	for _, e := range g.edges[columnActor] {
		if e.to >= len(hosts) {
			t.Fatalf("edge %v leads nowhere", e)
		}
		n += e.count
	}
	if n != total {
		t.Errorf("%d drawn, want %d", n, total)
	}
}
