// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

const schemaFile = "../docs/report-v1.schema.json"

func reportSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON returns r as a decoder of JSON sees it.
func asJSON(t *testing.T, r Report) any {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func fullReport() Report {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	who := egress.Process{PID: 41, Exe: "/usr/bin/node", Argv0: "node", Chain: []string{"sh", "npm", "node"}}
	return Report{
		Schema: ReportSchema, ID: "exec-1", Kind: "exec", Command: []string{"npm", "ci"}, Started: at, Ended: at.Add(time.Second),
		Conclusion: Failure, ExitCode: 137, Signal: "SIGKILL", Cause: sandbox.CauseOOM,
		Error:   &ReportError{Code: "layer.unavailable", What: "w", Why: "y", Fix: "f", Exit: 125},
		Profile: "ci", Rootfs: "host",
		Layers:  []sandbox.LayerReport{{Name: sandbox.LayerSeccomp, State: sandbox.Applied, Detail: "d"}},
		Usage:   ReportUsage{WallMS: 1, UserMS: 2, SysMS: 3, MemoryPeakBytes: 4, PidsPeak: 5},
		Denials: []ReportDenial{{Syscall: "ptrace", Errno: "EPERM", Count: 1, PID: 4, Exe: "/x", Step: "s"}, {Path: "/etc/x", Errno: "EACCES", Count: 2}},
		Egress: ReportEgress{
			Complete: true,
			Events: []egress.Event{{
				Time: at, Type: "egress", Job: "j", Step: "s", Verdict: egress.VerdictDeny, Door: egress.DoorTLS, Host: "a.test", Port: 443,
				Dst: "169.254.1.1:443", Method: "GET", Path: "/", QType: "A", Transport: "udp", Proto: "tcp", Status: 403, Rule: "default",
				Reason: "host", Hint: "h", Redacted: []string{"cookie"}, Opaque: true, Process: who, Package: egress.Package{Pkg: "p@1", Script: "install", PkgBy: egress.EvidenceProven},
				Up: 1, Down: 2, MS: 3, Count: 4,
			}},
			Summary: []egress.Summary{{
				Host: "a.test", Port: 443, Door: egress.DoorTLS, Verdict: egress.VerdictDeny, Reason: "host", Count: 1, Up: 1, Down: 2, First: who, Fix: "--allow a.test",
				Steps: []string{"s"}, Wanted: []egress.Wanted{{Package: egress.Package{Pkg: "p@1", Script: "install", PkgBy: egress.EvidenceProven}, Count: 1}},
			}},
		},
		Packages: []ReportPackage{{Ecosystem: "npm", Name: "left-pad", Version: "1.3.0", Digest: "sha512-x"}},
		Changed:  []Change{{Op: "M", Path: "package.json", Size: 5, Note: "n"}},
		Steps:    []ReportStep{{ID: "build", Name: "Build", Outcome: Failure, Conclusion: Success, DurationMS: 3, ExitCode: 1}}, Job: "build", Outputs: map[string]string{"a": "b"},
	}
}

func TestReportMeetsItsSchema(t *testing.T) {
	s := reportSchema(t)
	full := fullReport()
	if err := s.Validate(asJSON(t, full)); err != nil {
		t.Error(err)
	}
	least := Report{
		Schema: ReportSchema, Kind: "exec", Command: []string{}, Conclusion: Success, Cause: sandbox.CauseExited, Layers: []sandbox.LayerReport{},
		Denials: []ReportDenial{}, Egress: ReportEgress{Events: []egress.Event{}, Summary: []egress.Summary{}},
		Packages: []ReportPackage{}, Changed: []Change{}, Steps: []ReportStep{}, Outputs: map[string]string{},
	}
	if err := s.Validate(asJSON(t, least)); err != nil {
		t.Error(err)
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := reportSchema(t)
	for _, tt := range []struct {
		name   string
		change func(*Report)
	}{
		{"null for an empty list", func(r *Report) { r.Layers = nil }},
		{"another schema", func(r *Report) { r.Schema = "zviz.run/report/v2" }},
		{"an unknown cause", func(r *Report) { r.Cause = "bored" }},
		{"an unknown layer", func(r *Report) { r.Layers[0].Name = "selinux" }},
		{"a wished layer", func(r *Report) { r.Layers[0].State = "wished" }},
		{"an exit code out of range", func(r *Report) { r.ExitCode = 256 }},
		{"a denial of nothing", func(r *Report) { r.Denials[0].Syscall = "" }},
		{"a code of another form", func(r *Report) { r.Error.Code = "Oops" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := fullReport()
			tt.change(&r)
			if s.Validate(asJSON(t, r)) == nil {
				t.Error("accepted")
			}
		})
	}
}

// The enumerations of the schema are those of the code.
func TestSchemaNamesEveryLayer(t *testing.T) {
	s := reportSchema(t)
	for _, l := range sandbox.Layers() {
		r := fullReport()
		r.Layers[0].Name = l
		if err := s.Validate(asJSON(t, r)); err != nil {
			t.Errorf("%s: %v", l, err)
		}
	}
}

// Every field of the types is a property of the schema and the other way round,
// and required if it is always there.
func TestSchemaHasEveryField(t *testing.T) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var root schemaNode
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	for def, v := range map[string]any{
		"": Report{}, "error": ReportError{}, "layer": sandbox.LayerReport{}, "usage": ReportUsage{}, "denial": ReportDenial{},
		"egress": ReportEgress{}, "event": egress.Event{}, "row": egress.Summary{}, "process": egress.Process{},
		"package": ReportPackage{}, "change": Change{},
	} {
		node := root
		if def != "" {
			node = root.Defs[def]
		}
		var fields, required []string
		for f := range jsonFields(reflect.TypeOf(v)) {
			name, rest, _ := strings.Cut(f, ",")
			fields = append(fields, name)
			if !strings.Contains(rest, "omit") {
				required = append(required, name)
			}
		}
		slices.Sort(fields)
		slices.Sort(required)
		slices.Sort(node.Required)
		if d := cmp.Diff(fields, slices.Sorted(maps.Keys(node.Properties))); d != "" {
			t.Errorf("%q: properties (-code +schema)\n%s", def, d)
		}
		if d := cmp.Diff(required, node.Required); d != "" {
			t.Errorf("%q: required (-code +schema)\n%s", def, d)
		}
	}
}

type schemaNode struct {
	Properties map[string]json.RawMessage `json:"properties"`
	Required   []string                   `json:"required"`
	Defs       map[string]schemaNode      `json:"$defs"`
}

// jsonFields returns the json tags of a struct, those of embedded ones too.
func jsonFields(t reflect.Type) map[string]bool {
	tags := map[string]bool{}
	for f := range t.Fields() {
		if f.Anonymous {
			maps.Copy(tags, jsonFields(f.Type))
			continue
		}
		if tag := f.Tag.Get("json"); tag != "-" {
			tags[tag] = true
		}
	}
	return tags
}
