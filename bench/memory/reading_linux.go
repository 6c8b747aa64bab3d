// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// reading is the memory of the machine in parts, bytes.
type reading map[string]float64

// The parts. They do not overlap; used holds them all and what the kernel counts
// nowhere (socket buffers, pipes, pages that are half empty).
const (
	runnerPSS = "the runner, its own (anonymous)"
	jobsPSS   = "the sandbox's processes (anonymous)"
	files     = "files in memory (tmpfs, memfd)"
	slabUnre  = "kernel: slab that stays"
	slabRecl  = "kernel: slab that can be reclaimed"
	stacks    = "kernel: stacks of threads"
	tables    = "kernel: page tables"
	percpu    = "kernel: per CPU"
	rest      = "kernel: counted nowhere"
	used      = "all"
)

func parts() []string {
	return []string{runnerPSS, jobsPSS, files, slabUnre, slabRecl, stacks, tables, percpu, rest}
}

// read takes all of it. Pages of files on disk are left out: programs that are run
// a hundred times share them, and the kernel drops them when it needs to.
func read() (reading, error) {
	m, err := numbers("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	runner, err := anonymous(os.Getpid())
	if err != nil {
		return nil, err
	}
	pids, err := descendants(os.Getpid())
	if err != nil {
		return nil, err
	}
	kept, err := keptPages()
	if err != nil {
		return nil, err
	}
	r := reading{
		runnerPSS: float64(runner),
		files:     m["Shmem"], slabUnre: m["SUnreclaim"], slabRecl: m["SReclaimable"],
		stacks: m["KernelStack"], tables: m["PageTables"], percpu: m["Percpu"],
		used: m["MemTotal"] - m["MemFree"] - kept - m["Buffers"] - m["Cached"] + m["Shmem"],
	}
	for _, pid := range pids {
		n, err := anonymous(pid)
		if err != nil {
			return nil, err
		}
		r[jobsPSS] += float64(n)
	}
	// Other processes of the machine are none of ours.
	r[used] += r[runnerPSS] + r[jobsPSS] - m["AnonPages"]
	r[rest] = r[used] - r[runnerPSS] - r[jobsPSS] - r[files] - r[slabUnre] - r[slabRecl] - r[stacks] - r[tables] - r[percpu]
	return r, nil
}

// keptPages is what each processor keeps of free pages, bytes: MemFree does not have
// them, and a hundred sandboxes come and go within them (proc_zoneinfo(5)).
func keptPages() (float64, error) {
	text, err := os.ReadFile("/proc/zoneinfo")
	if err != nil {
		return 0, err
	}
	pages := 0.0
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "count:" {
			n, err := strconv.ParseFloat(words[1], 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/zoneinfo: %w", err)
			}
			pages += n
		}
	}
	return pages * float64(os.Getpagesize()), nil
}

// numbers reads a file of lines "Name:   123 kB", in bytes.
func numbers(file string) (map[string]float64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(line, ":")
		words := strings.Fields(value)
		if !ok || len(words) != 2 || words[1] != "kB" {
			continue // a heading, or HugePages_Total, which is a number of pages
		}
		n, err := strconv.ParseFloat(words[0], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, name, err)
		}
		m[name] = n * 1024
	}
	return m, nil
}

// pss is the proportional set size of a process, bytes.
func pss(pid int) (int64, error) { return rollup(pid, "Pss") }

// anonymous is the part of it that is no file, tmpfs and memfd included.
func anonymous(pid int) (int64, error) { return rollup(pid, "Pss_Anon") }

func rollup(pid int, name string) (int64, error) {
	m, err := numbers(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	return int64(m[name]), err
}

// descendants are the processes that a process has started, and those that these
// have.
func descendants(of int) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, "stat"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // gone
		}
		if err != nil {
			return nil, err
		}
		// The name in brackets may hold anything (proc_pid_stat(5)).
		_, after, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
		words := strings.Fields(after)
		pid, err1 := strconv.Atoi(filepath.Base(dir))
		parent, err2 := strconv.Atoi(words[1])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("%s/stat: %w", dir, err)
		}
		children[parent] = append(children[parent], pid)
	}
	var all []int
	for todo := children[of]; len(todo) > 0; todo = todo[1:] {
		all = append(all, todo[0])
		todo = append(todo, children[todo[0]]...)
	}
	return all, nil
}

// slabs reads how many bytes each cache of the kernel has (slabinfo(5)).
func slabs() (map[string]int64, error) {
	f, err := os.Open("/proc/slabinfo")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	out := map[string]int64{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		words := strings.Fields(sc.Text())
		const objects, size = 2, 3
		if len(words) < 16 || words[0] == "#" {
			continue
		}
		n, err1 := strconv.ParseInt(words[objects], 10, 64)
		each, err2 := strconv.ParseInt(words[size], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("/proc/slabinfo: %s: %w", words[0], err)
		}
		out[words[0]] = n * each
	}
	return out, sc.Err()
}
