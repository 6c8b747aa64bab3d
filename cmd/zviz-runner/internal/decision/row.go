// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
)

// Row returns "tracker.example.com:443 (node, pid 41) ×2".
func Row(r egress.Summary) string {
	s := ui.Clean(Host(r))
	var in []string
	if r.First.PID != 0 {
		in = append(in, Process(r.First.Exe, r.First.PID))
	}
	for _, w := range r.Wanted[:min(len(r.Wanted), 2)] {
		in = append(in, Wanted(w.Package))
	}
	if r.Reason != "" && r.Reason != egress.ReasonHost {
		in = append(in, Why(r))
	}
	if len(in) > 0 {
		s += " (" + strings.Join(in, "; ") + ")"
	}
	return s + ui.Times(r.Count)
}

// packagesMost is how many packages a row names of those that it has.
const packagesMost = 3

// Why is "min-release-age: left@1.1.0, right@2.0.0 and more".
func Why(r egress.Summary) string {
	s := r.Reason
	if len(r.Packages) > 0 {
		s += ": " + strings.Join(r.Packages[:min(len(r.Packages), packagesMost)], ", ")
	}
	if len(r.Packages) > packagesMost {
		s += " and more"
	}
	return ui.Clean(s)
}

// Host is "tracker.example.com:443", not clean.
func Host(r egress.Summary) string {
	if port := ":" + strconv.Itoa(int(r.Port)); r.Port != 0 && r.Door != egress.DoorDNS && !strings.HasSuffix(r.Host, port) {
		return r.Host + port
	}
	return r.Host
}

// Wanted is "claims to be postinstall of left-pad@1.3.0".
func Wanted(p egress.Package) string {
	s := p.Pkg
	if p.Script != "" {
		s = p.Script
		if p.Pkg != "" {
			s += " of " + p.Pkg
		}
	}
	if p.PkgBy != egress.EvidenceProven {
		s = "claims to be " + s
	}
	return ui.Clean(s)
}

// Process is "node, pid 41".
func Process(exe string, pid int) string {
	name := "unknown"
	if exe != "" {
		name = ui.Clean(path.Base(exe))
	}
	return fmt.Sprintf("%s, pid %d", name, pid)
}
