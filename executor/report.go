// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// ReportSchema names the version of Report. Fields are added, never renamed;
// docs/report-v1.schema.json is its JSON schema.
const ReportSchema = "zviz.run/report/v1"

// Conclusion is how a run ended, in GitHub's words.
type Conclusion string

// The conclusions.
const (
	Success   Conclusion = "success"
	Failure   Conclusion = "failure"
	Cancelled Conclusion = "cancelled"
	Skipped   Conclusion = "skipped"
)

// Report is the evidence of one run.
type Report struct {
	Schema     string                `json:"schema"`
	ID         string                `json:"id"`
	Kind       string                `json:"kind"`          // "exec" or "job"
	Job        string                `json:"job,omitempty"` // of a workflow: its id in the run
	Command    []string              `json:"command"`
	Started    time.Time             `json:"started"`
	Ended      time.Time             `json:"ended"`
	Conclusion Conclusion            `json:"conclusion"`
	ExitCode   int                   `json:"exit_code"`
	Signal     string                `json:"signal,omitempty"` // "SIGKILL"
	Cause      sandbox.Cause         `json:"cause"`
	Error      *ReportError          `json:"error,omitempty"`
	Profile    string                `json:"profile"`
	Rootfs     string                `json:"rootfs"`
	Layers     []sandbox.LayerReport `json:"layers"`
	Usage      ReportUsage           `json:"usage"`
	Limits     ReportLimits          `json:"limits"`
	Denials    []ReportDenial        `json:"denials"`
	Egress     ReportEgress          `json:"egress"`
	Packages   []ReportPackage       `json:"packages"`
	Changed    []Change              `json:"changed"`
	Leftovers  ReportLeftovers       `json:"leftovers"`
	Steps      []ReportStep          `json:"steps"`
	Outputs    map[string]string     `json:"outputs"`
	// Environment is the deployment environment of a workflow's job.
	Environment *ReportEnvironment `json:"environment,omitempty"`
}

// Title is what the report is about: a command, or a job.
func (r Report) Title() string {
	if len(r.Command) == 0 && r.Job != "" {
		return "job " + r.Job
	}
	return strings.Join(r.Command, " ")
}

// ReportError is an error of ours in the house form.
type ReportError struct {
	Code string `json:"code"`
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	Fix  string `json:"fix,omitempty"`
	Exit int    `json:"exit"`
}

// ReportUsage is sandbox.Usage in the report's units.
type ReportUsage struct {
	WallMS          int64 `json:"wall_ms"`
	UserMS          int64 `json:"user_ms"`
	SysMS           int64 `json:"sys_ms"`
	MemoryPeakBytes int64 `json:"memory_peak_bytes"`
	PidsPeak        int   `json:"pids_peak"`
	PidsDenied      int   `json:"pids_denied"` // forks that failed at the limit
	OOMKills        int   `json:"oom_kills"`   // processes that the memory limit killed
}

// ReportLimits are the limits that were in force; 0 is none.
type ReportLimits struct {
	MemoryBytes int64   `json:"memory_bytes"`
	CPUs        float64 `json:"cpus"`
	Pids        int     `json:"pids"`
	OpenFiles   int     `json:"open_files"` // of one process
	WallMS      int64   `json:"wall_ms"`
	// Reached is what the command's own last words name: "open_files", or "space"
	// of a file system. The kernel tells us nothing of these.
	Reached string `json:"reached,omitempty"`
}

func reportLimits(l sandbox.Limits) ReportLimits {
	return ReportLimits{MemoryBytes: l.MemoryBytes, CPUs: l.CPUs, Pids: l.Pids, OpenFiles: l.OpenFiles, WallMS: l.Wall.Milliseconds()}
}

// ReportDenial is a system call or a file that was refused.
type ReportDenial struct {
	Syscall string `json:"syscall,omitempty"`
	Path    string `json:"path,omitempty"`
	Errno   string `json:"errno"`             // "EPERM"
	Rule    string `json:"rule,omitempty"`    // of a file: what refused it
	Fix     string `json:"fix,omitempty"`     // of a file: the flag that would allow it
	Claimed bool   `json:"claimed,omitempty"` // read from the command's own output, not seen by us
	Count   int    `json:"count"`
	PID     int    `json:"pid,omitempty"`
	Exe     string `json:"exe,omitempty"`
	Step    string `json:"step,omitempty"`
}

// ReportStep is a step of a job.
type ReportStep struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Outcome    Conclusion `json:"outcome"`    // what really became of it
	Conclusion Conclusion `json:"conclusion"` // the same but for continue-on-error
	DurationMS int64      `json:"duration_ms"`
	ExitCode   int        `json:"exit_code"`
}

// ReportEnvironment is a deployment environment.
type ReportEnvironment struct {
	Name string `json:"name"`
	URL  string `json:"url,omitempty"` // masked; as the job says
}

// ReportEgress is what the network saw. Complete is true only if nothing opaque
// (spliced, plain tcp) left the cell and every decision is in Events. Head is the hash
// of the last event (egress.Event.Link).
type ReportEgress struct {
	Complete bool             `json:"complete"`
	Head     string           `json:"head,omitempty"`
	Events   []egress.Event   `json:"events"`
	Summary  []egress.Summary `json:"summary"`
}

// ReportPackage is a package that was fetched through a terminated registry, or that
// the job had without asking.
type ReportPackage struct {
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	Digest    string `json:"digest,omitempty"`
	// Available says that the package was not asked for: it lay verified in the job's
	// own cache, from the package store. Whether it was read nobody saw.
	Available bool `json:"available,omitempty"`
}

// How says how the job had it, for people.
func (p ReportPackage) How() string {
	if p.Available {
		return "in its cache"
	}
	return "fetched"
}

// Change is a file of the workspace that the run made, changed or removed.
type Change struct {
	Op   string `json:"op"` // "A", "M" or "D"
	Path string `json:"path"`
	Size int64  `json:"size"`
	Note string `json:"note,omitempty"` // why it is listed: "run by npx", "git hook"
	Fix  string `json:"fix,omitempty"`  // what to do about it
}

// ReportLeftovers says how far the look at what the command left went; what it
// found is in Changed.
type ReportLeftovers struct {
	Entries    int    `json:"entries"`              // looked at
	Incomplete string `json:"incomplete,omitempty"` // why the look ended early
}

func newReport(r Request) Report {
	return Report{
		Schema: ReportSchema, Kind: "exec", Command: hide(r.Secrets).all(r.Args), Started: time.Now().UTC(), Conclusion: Failure,
		Cause: sandbox.CauseNotStarted, Profile: profileName(r.Policy), Rootfs: rootName(r.Policy),
		Layers: []sandbox.LayerReport{}, Denials: []ReportDenial{}, Packages: []ReportPackage{}, Changed: []Change{},
		Steps: []ReportStep{}, Outputs: map[string]string{},
		Egress: ReportEgress{Complete: true, Events: []egress.Event{}, Summary: []egress.Summary{}},
	}
}

// finish fills in how the command ended.
func (r *Report) finish(res sandbox.Result, events []egress.Event) {
	r.Ended = time.Now().UTC()
	r.ExitCode, r.Signal, r.Cause = res.ExitCode, signalName(res.Signal), res.Cause
	switch {
	case res.Cause == sandbox.CauseCancelled:
		r.Conclusion = Cancelled
	case res.ExitCode == 0:
		r.Conclusion = Success
	}
	r.Usage = ReportUsage{
		WallMS: res.Usage.Wall.Milliseconds(), UserMS: res.Usage.User.Milliseconds(), SysMS: res.Usage.System.Milliseconds(),
		MemoryPeakBytes: res.Usage.MemoryPeakBytes, PidsPeak: res.Usage.PidsPeak, PidsDenied: res.Usage.PidsDenied, OOMKills: res.Usage.OOMKills,
	}
	for _, d := range res.Denials {
		r.Denials = append(r.Denials, ReportDenial{Syscall: d.Syscall, Errno: unix.ErrnoName(d.Errno), Count: d.Count, PID: d.PID, Exe: d.Exe})
	}
	r.connections(events)
}

// connections fills in what the network saw.
func (r *Report) connections(events []egress.Event) {
	if len(events) > 0 {
		r.Egress.Events, r.Egress.Summary = events, egress.Summarize(events)
	}
	for _, e := range events {
		// What has a digest was verified: metadata has none, and a refusal neither.
		if p := e.Fetched; p != nil && p.Digest != "" && e.Verdict != egress.VerdictDeny {
			add := ReportPackage{Ecosystem: p.Ecosystem, Name: p.Name, Version: p.Version, Digest: p.Digest}
			if !slices.Contains(r.Packages, add) {
				r.Packages = append(r.Packages, add)
			}
		}
	}
}

// offer adds what the job had without asking, but for what it asked for all the same.
func (r *Report) offer(packages []ReportPackage) {
	fetched := map[ReportPackage]bool{}
	for _, p := range r.Packages {
		fetched[p] = true
	}
	for _, p := range packages {
		asked := p
		asked.Available = false
		if !fetched[asked] {
			r.Packages = append(r.Packages, p)
		}
	}
}
