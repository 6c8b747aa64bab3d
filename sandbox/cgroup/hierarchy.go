// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Hierarchies is where this process's cgroups are: the mount point of each
// hierarchy joined with the group that we are in. Plain data.
type Hierarchies struct {
	V2          string   `json:"v2,omitempty"`          // directory in the v2 hierarchy, empty if it is not mounted
	Controllers []string `json:"controllers,omitempty"` // of v2, as cgroup.controllers has them
	Memory      string   `json:"memory,omitempty"`      // v1 directories, empty if there is none
	Pids        string   `json:"pids,omitempty"`
	CPU         string   `json:"cpu,omitempty"`
	Kill        bool     `json:"kill"` // cgroup.kill is there (Linux 5.14)
}

// Joined returns the uses ("memory", "pids", "cpu") whose group is in a hierarchy of
// version 1, which a process has to join: it is born in that of version 2.
func (h Hierarchies) Joined(without []string) []string {
	var out []string
	for _, c := range []struct{ use, v1 string }{{"memory", h.Memory}, {"pids", h.Pids}, {"cpu", h.CPU}} {
		onV2 := h.has(c.use) && !slices.Contains(without, "kill")
		if c.v1 != "" && !onV2 && !slices.Contains(without, c.use) {
			out = append(out, c.use)
		}
	}
	return out
}

// Find reads the mounts and groups of this process from proc ("/proc").
func Find(proc string) (Hierarchies, error) {
	var h Hierarchies
	groups, err := ownGroups(filepath.Join(proc, "self/cgroup"))
	if err != nil {
		return h, err
	}
	f, err := os.Open(filepath.Join(proc, "self/mountinfo"))
	if err != nil {
		return h, err
	}
	defer func() { _ = f.Close() }()
	s := bufio.NewScanner(f)
	for s.Scan() {
		// proc_pid_mountinfo(5): id parent major:minor root mountpoint options … - type source superoptions
		before, after, ok := strings.Cut(s.Text(), " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(rest) < 3 {
			continue
		}
		root, point := fields[3], fields[4]
		switch rest[0] {
		case "cgroup2":
			if h.V2 == "" {
				h.V2 = below(root, point, groups[""])
			}
		case "cgroup":
			for opt := range strings.SplitSeq(rest[2], ",") {
				switch opt {
				case "memory":
					h.Memory = below(root, point, groups[opt])
				case "pids":
					h.Pids = below(root, point, groups[opt])
				case "cpu":
					h.CPU = below(root, point, groups[opt])
				}
			}
		}
	}
	if err := s.Err(); err != nil {
		return h, fmt.Errorf("read mountinfo: %w", err)
	}
	if h.V2 != "" {
		b, err := os.ReadFile(filepath.Join(h.V2, "cgroup.controllers"))
		if err != nil {
			return h, err
		}
		h.Controllers = strings.Fields(string(b))
		// The root group has no cgroup.kill; whether its children have one shows in
		// cgroup.freeze's company only, so ask the features file (since 5.14 every
		// non-root group has both).
		h.Kill = hasKill(h.V2)
	}
	return h, nil
}

// below places a group's path under the mount point of its hierarchy. A mount
// of a subtree (root is not "/") shows only what is below that subtree.
func below(root, point, group string) string {
	if rel, ok := strings.CutPrefix(group, strings.TrimSuffix(root, "/")); ok {
		return filepath.Join(point, rel)
	}
	return point
}

// ownGroups maps each v1 controller, and "" for v2, to our group's path.
func ownGroups(file string) (map[string]string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	groups := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(b)), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		for c := range strings.SplitSeq(parts[1], ",") {
			groups[c] = parts[2]
		}
	}
	return groups, nil
}

func hasKill(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err == nil {
		return true
	}
	// In the root group: try a child. Its name says whose it is, so that the next
	// one removes what a killed process left.
	sweepProbes(dir)
	probe, err := os.MkdirTemp(dir, fmt.Sprintf("%s%d-", probePrefix, os.Getpid()))
	if err != nil {
		return false
	}
	defer func() { _ = os.Remove(probe) }()
	_, err = os.Stat(filepath.Join(probe, "cgroup.kill"))
	return err == nil
}

const (
	probePrefix = Prefix + "probe-"
	// probeMinAge keeps a group of another pid namespace from being taken for one
	// of a dead process.
	probeMinAge = time.Second
	maxPID      = 1 << 22 // PID_MAX_LIMIT, proc_sys_kernel(5)
)

// sweepProbes removes the groups of processes that were killed while they tried.
// They are empty; one that lives on would hold nothing but its name.
func sweepProbes(dir string) {
	left, err := filepath.Glob(filepath.Join(dir, probePrefix+"*"))
	if err != nil {
		return
	}
	for _, group := range left {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(group), probePrefix), "-")
		pid, err := strconv.Atoi(owner)
		if err == nil && pid > 0 && pid <= maxPID && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if st, err := os.Stat(group); err == nil && time.Since(st.ModTime()).Abs() > probeMinAge {
			_ = os.Remove(group)
		}
	}
}

// has reports whether a controller can be had in v2.
func (h Hierarchies) has(controller string) bool { return slices.Contains(h.Controllers, controller) }

// Where names the hierarchy that would hold a limit, empty if none can.
func (h Hierarchies) Where(controller string) string {
	v1 := map[string]string{"memory": h.Memory, "pids": h.Pids, "cpu": h.CPU}[controller]
	switch {
	case h.V2 != "" && h.has(controller):
		return "cgroup v2 at " + h.V2
	case v1 != "":
		return "cgroup v1 at " + v1
	default:
		return ""
	}
}
