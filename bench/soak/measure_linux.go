// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/zviz/run/sandbox/cgroup"
)

// figure is one number that must not grow with the number of runs.
type figure struct {
	name  string
	value int64
	most  int64 // how much it may grow; unjudged: it is the whole machine's
}

const unjudged = -1

const mib = 1 << 20

// settleLimit is how long what is being taken down may take.
const settleLimit = 15 * time.Second

// measure takes all figures.
func (s *site) measure() ([]figure, error) {
	groups, err := s.groups()
	if err != nil {
		return nil, err
	}
	// The second collection frees what finalizers of the first let go.
	runtime.GC()
	debug.FreeOSMemory()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	processes, threads, namespaces := tasks()
	f := []figure{
		{"descriptors", entries("/proc/self/fd"), 0},
		{"goroutines", int64(runtime.NumGoroutine()), 0},
		{"threads", threads, 8},
		{"mappings", countLines("/proc/self/maps"), 48},
		{"heap, bytes", int64(heap.HeapAlloc), 2 * mib},
		{"resident, bytes", field("/proc/self/status", "VmRSS:") * 1024, 24 * mib},
		{"processes", processes, 0},
		{"namespaces", namespaces, 0},
		{"mounts", countLines("/proc/self/mountinfo"), 0},
		{"network devices", countLines("/proc/self/net/dev"), 0},
		{"control groups", groups, 0},
		{"job folders", entries(filepath.Join(s.dir, "state", "jobs")), 0},
		{"id ranges", entries(filepath.Join(s.dir, "state", "slots")), int64(len(s.workspaces))},
		{"slab, bytes", field("/proc/meminfo", "SUnreclaim:") * 1024, unjudged},
		{"memory groups of the kernel", cgroupsOf("memory"), unjudged},
	}
	for _, cache := range []string{"pid_namespace", "user_namespace", "net_namespace", "uts_namespace", "mnt_cache", "mem_cgroup", "task_struct", "sock_inode_cache"} {
		f = append(f, figure{"slab " + cache, field("/proc/slabinfo", cache), unjudged})
	}
	return f, nil
}

// settle measures until nothing has grown, and returns what did.
func (s *site) settle(base []figure, slack int64) (now []figure, grown []string, err error) {
	for begin := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		if now, err = s.measure(); err != nil {
			return nil, nil, err
		}
		if grown = grew(base, now, slack); len(grown) == 0 || time.Since(begin) > settleLimit {
			return now, grown, nil
		}
	}
}

// grew names the figures that grew by more than they may.
func grew(base, now []figure, threads int64) (grown []string) {
	for i, f := range now {
		most := f.most
		if f.name == "threads" || f.name == "mappings" {
			most += threads // each has a stack
		}
		if f.most != unjudged && f.value-base[i].value > most {
			grown = append(grown, fmt.Sprintf("%s: %d, were %d, may grow by %d", f.name, f.value, base[i].value, most))
		}
	}
	return grown
}

// growth is a table for people.
func growth(base, now []figure, runs int) string {
	var b strings.Builder
	for i, f := range now {
		note := ""
		if f.most == unjudged {
			note = "  (of the whole machine)"
		}
		fmt.Fprintf(&b, "  %-28s %12d -> %12d  %+11d%s\n", f.name, base[i].value, f.value, f.value-base[i].value, note)
	}
	fmt.Fprintf(&b, "  after %d runs\n", runs)
	return b.String()
}

// groups counts the control groups that our jobs left, and forgets those that left
// none: the machine has jobs of other people's too.
func (s *site) groups() (int64, error) {
	h, err := cgroup.Find("/proc")
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, seen, left := int64(0), map[string]bool{}, map[string]bool{}
	for _, dir := range []string{h.Memory, h.Pids, h.CPU, h.V2} {
		if dir == "" || seen[dir] {
			continue
		}
		seen[dir] = true
		list, err := os.ReadDir(dir)
		if err != nil {
			return 0, err
		}
		probe := fmt.Sprintf("probe-%d-", os.Getpid())
		for _, e := range list {
			id, ours := strings.CutPrefix(e.Name(), cgroup.Prefix)
			if ours && (s.ids[id] || strings.HasPrefix(id, probe)) {
				n++
				left[id] = true
			}
		}
	}
	s.ids = left
	return n, nil
}

// tasks counts the processes in our pid namespace, our own threads, and the
// namespaces that any thread of any process is in.
func tasks() (processes, threads, namespaces int64) {
	seen := map[string]bool{}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, dir := range dirs {
		all, err := os.ReadDir(filepath.Join(dir, "task"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		processes++
		if dir == "/proc/"+strconv.Itoa(os.Getpid()) {
			threads = int64(len(all))
		}
		for _, task := range all {
			links, err := os.ReadDir(filepath.Join(dir, "task", task.Name(), "ns"))
			if err != nil {
				continue // gone
			}
			for _, l := range links {
				if to, err := os.Readlink(filepath.Join(dir, "task", task.Name(), "ns", l.Name())); err == nil {
					seen[to] = true
				}
			}
		}
	}
	return processes, threads, int64(len(seen))
}

func entries(dir string) int64 {
	list, err := os.ReadDir(dir)
	if err != nil {
		return -1
	}
	return int64(len(list))
}

func countLines(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return -1
	}
	return int64(strings.Count(string(text), "\n"))
}

// field is the number after the name that a line begins with; -1 if there is none.
func field(file, name string) int64 {
	f, err := os.Open(file)
	if err != nil {
		return -1
	}
	defer func() { _ = f.Close() }()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if words := strings.Fields(sc.Text()); len(words) > 1 && words[0] == name {
			if n, err := strconv.ParseInt(words[1], 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// cgroupsOf is how many groups the kernel still has of a controller, those that
// were removed but hold memory included.
func cgroupsOf(controller string) int64 {
	text, err := os.ReadFile("/proc/cgroups")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == controller {
			if n, err := strconv.ParseInt(words[2], 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}
