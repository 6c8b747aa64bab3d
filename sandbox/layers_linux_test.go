// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zviz/run/internal/attack"
)

// alone is what escapes when layers are off, and with each of them on does not.
type alone struct {
	layers      string // by comma
	ci, hostile string // attempts
}

func (a alone) under(profile string) []string {
	if profile == "ci" {
		return strings.Fields(a.ci)
	}
	return strings.Fields(a.hostile)
}

func (a alone) lifts() []lift {
	var ls []lift
	for name := range strings.SplitSeq(a.layers, ",") {
		ls = append(ls, liftOf(name))
	}
	return ls
}

// recorded is the table of docs/security.md: make layers measures it again.
// Single layers come first.
func recorded() []alone {
	const outside = ` net-04 net-04-port net-04-tls net-04-http net-05 net-05-proxy net-06-sni net-06-host net-06-inside
		net-07 net-07-tcp net-08-udp net-08-tcp net-08-dot net-09-loopback net-09-link net-09-private net-10 net-11
		net-14 net-15-http net-15-port net-15-ipv6 net-15-name net-17 net-18 net-19 net-20`
	const calls = `cap-02 sc-01 sc-01-off sc-04 sc-04-seize sc-06 sc-11 sc-11-request sc-12 sc-13 sc-17 sc-19 sc-30
		proc-08 proc-08-high net-21 proc-03 sc-08 sc-09 sc-14 sc-15 sc-17-setarch sc-28 sc-29 sc-29-policy sc-29-move sc-18 net-16-nft`
	same := func(layers, ids string) alone { return alone{layers, ids, ids} }
	return []alone{
		same("user", "res-09"),
		same("pid", "ns-13 proc-06"),
		same("rootfs", "ws-01 ws-02"),
		same("proc masks", "fs-13-interrupts"),
		{"net", "net-12 net-13 net-12-network net-13-network net-14-link" + outside, "net-12 net-12-network" + outside},
		{"egress", outside + " net-14-link", outside},
		{"ipc", "proc-07-ipc", ""},
		same("uts", ""),
		same("cgroup", ""),
		same("pids", "res-02"),
		same("memory", "res-03"),
		same("cpu", ""),
		same("kill", ""),
		same("rlimits", "res-07 res-12"),
		same("no_new_privs", ""),
		same("landlock", ""),
		{"capabilities", "ns-10 cap-04 cap-07 cap-08-res cap-08-resgid", "cap-04 cap-07 cap-08-res cap-08-resgid"},
		{"seccomp", calls, calls + " net-02 proc-07-sysv"},
		same("descriptors", "fs-16"),
		same("streams", "fs-16-output"),

		{"user,seccomp", "ns-01 ns-14 ns-15 ns-07", "ns-01 ns-14 ns-15"},
		same("rootfs,landlock", "fs-33 fs-06 ns-13 fs-13-interrupts fs-26 fs-27 fs-29-debugfs fs-31 fs-32 ws-07 proc-06 proc-07 res-04 res-04-run res-14"),
		same("capabilities,seccomp", "cap-01 fs-34 cap-03 cap-08 cap-08-gid cap-08-groups"),
		same("user,no_new_privs,nosuid", "cap-05 cap-05-su cap-05-mount cap-05-passwd"),
	}
}

// every makes all attempts without the layers and returns what they said.
func (s *scene) every(ctx context.Context, profile string, lifted ...lift) map[string]string {
	said := map[string]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	queue := make(chan attack.Attempt)
	for range 4 {
		wg.Go(func() {
			for a := range queue {
				line := s.attempt(ctx, a, profile, lifted...)
				mu.Lock()
				said[a.ID] = line
				mu.Unlock()
			}
		})
	}
	for _, a := range s.all {
		queue <- a
	}
	close(queue)
	wg.Wait()
	return said
}

// TestLayersTable lifts each layer in turn, makes every attempt under both
// profiles, prints the table of docs/security.md and compares it with recorded.
func TestLayersTable(t *testing.T) {
	if os.Getenv("ZVIZ_LAYERS") == "" {
		t.Skip("takes minutes: make layers")
	}
	s := isolated(t)
	if s == nil {
		return
	}
	table := map[string][]string{}
	for _, profile := range profiles() {
		with := s.every(t.Context(), profile)
		var through []string
		for _, a := range s.all {
			if escaped(with[a.ID]) {
				through = append(through, a.ID)
			}
		}
		if want := letThrough(profile); !slices.Equal(through, want) {
			t.Errorf("%s: with all layers escape %v, want %v", profile, through, want)
		}
		single := map[string]map[string]string{}
		for _, r := range recorded() {
			said, before := map[string]string{}, []map[string]string{with}
			lifted := r.lifts()
			for _, l := range lifted {
				if single[l.name] == nil {
					single[l.name] = s.every(t.Context(), profile, l)
				}
				said = single[l.name]
				before = append(before, said)
			}
			if len(lifted) == 1 {
				before = before[:1]
			} else {
				said = s.every(t.Context(), profile, lifted...)
			}
			var got []string
			for _, a := range s.all {
				if escaped(said[a.ID]) && !misled(a.ID, lifted) && !slices.ContainsFunc(before, func(b map[string]string) bool { return escaped(b[a.ID]) }) {
					got = append(got, a.ID)
				}
			}
			if want := r.under(profile); !sameSet(got, want) {
				t.Errorf("%s without %s: %v escape, recorded are %v", profile, r.layers, got, want)
			}
			table[r.layers] = append(table[r.layers], short(got))
			t.Logf("%s without %s: %s", profile, r.layers, short(got))
		}
	}
	fmt.Println("| layer | escapes without it: ci | hostile |\n|---|---|---|")
	for _, r := range recorded() {
		fmt.Printf("| `%s` | %s |\n", strings.ReplaceAll(r.layers, ",", "`, `"), strings.Join(table[r.layers], " | "))
	}
}

// misled reports whether an attempt finds something else than it looks for: in the
// root of the host /proc is that of another pid namespace, and so is /proc/self.
func misled(id string, lifted []lift) bool {
	return (id == "fs-16" || id == "ns-12") && slices.ContainsFunc(lifted, func(l lift) bool { return l.name == "rootfs" })
}

func profiles() []string { return []string{"ci", "hostile"} }

// letThrough are the attempts that a profile allows.
func letThrough(profile string) []string {
	if profile == "ci" {
		return []string{"net-02", "proc-07-sysv"}
	}
	return nil
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// short names the rows of attempts: "sc-01, 04–06".
func short(ids []string) string {
	var classes []string
	numbers := map[string][]int{}
	for _, id := range ids {
		class, rest, _ := strings.Cut(id, "-")
		digits, _, _ := strings.Cut(rest, "-")
		n, err := strconv.Atoi(digits)
		if err != nil {
			continue
		}
		if numbers[class] == nil {
			classes = append(classes, class)
		}
		numbers[class] = append(numbers[class], n)
	}
	var out []string
	for _, class := range classes {
		slices.Sort(numbers[class])
		all := slices.Compact(numbers[class])
		for i := 0; i < len(all); {
			end := i
			for end+1 < len(all) && all[end+1] == all[end]+1 {
				end++
			}
			text := fmt.Sprintf("%02d", all[i])
			if i == 0 {
				text = class + "-" + text
			}
			if end > i {
				text += fmt.Sprintf("–%02d", all[end])
			}
			out = append(out, text)
			i = end + 1
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// TestLayersAct wants of each layer that the attempts which it stops alone, or
// two of them, escape without it and are stopped with it; of two or more, that
// each of them stops the attempt.
func TestLayersAct(t *testing.T) {
	s := isolated(t)
	if s == nil {
		return
	}
	for _, r := range recorded() {
		for _, profile := range profiles() {
			ids := r.under(profile)
			for _, id := range ids[:min(len(ids), 2)] {
				t.Run(strings.Join([]string{r.layers, profile, id}, "/"), func(t *testing.T) {
					a, ok := attack.ByID(id)
					if !ok {
						t.Fatal("no such attempt")
					}
					if a.Tool != "" && !slices.ContainsFunc(s.all, func(b attack.Attempt) bool { return b.ID == id }) {
						t.Skipf("needs %s", a.Tool)
					}
					lifted := r.lifts()
					if got := s.attempt(t.Context(), a, profile, lifted...); !escaped(got) {
						t.Errorf("%s, without %s: got %q, want ESCAPED", a.What, r.layers, got)
					}
					for i := range lifted {
						others := slices.Delete(slices.Clone(lifted), i, i+1)
						if got := s.attempt(t.Context(), a, profile, others...); escaped(got) || strings.HasPrefix(got, "BROKEN ") {
							t.Errorf("%s, with %s: got %q, want it stopped", a.What, lifted[i].name, got)
						}
					}
				})
			}
		}
	}
}

// TestLayersHide wants of the namespaces that stop no attempt that what they hide
// of the host is seen without them.
func TestLayersHide(t *testing.T) {
	s := isolated(t)
	if s == nil {
		return
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for layer, look := range map[string]struct{ script, secret string }{
		"uts": {"uname -n", host},
		// Of version 1 the job sees the name of its group, since it is put there later.
		"cgroup": {"grep ^0: /proc/self/cgroup", s.name},
	} {
		for _, profile := range profiles() {
			for _, lifted := range [][]lift{nil, {liftOf(layer)}} {
				e := s.run(t.Context(), profile, lifted, func(string) []string { return []string{"sh", "-c", look.script} })
				if e.err != nil || e.res.ExitCode != 0 {
					t.Fatalf("%s: %+v", layer, e)
				}
				if seen := strings.Contains(e.out, look.secret); seen == (lifted == nil) {
					t.Errorf("%s, %s, off %v: %q shows %q: %v", layer, profile, lifted != nil, e.out, look.secret, seen)
				}
			}
		}
	}
}

// TestLayersCollect leaves a process behind in a session of its own. The pid
// namespace ends it, and so does the control group; without both it lives on.
// Without the filter in each case: Wait waits for the last process that has it.
func TestLayersCollect(t *testing.T) {
	s := isolated(t)
	if s == nil {
		return
	}
	const mark = "97.0625"
	for _, tt := range []struct {
		layers string
		lives  bool
	}{{"pid,seccomp", false}, {"kill,seccomp", false}, {"pid,kill,seccomp", true}} {
		e := s.run(t.Context(), "ci", alone{layers: tt.layers}.lifts(), func(string) []string {
			return []string{"sh", "-c", "setsid sleep " + mark + " >/dev/null 2>&1 & exit 0"}
		})
		// A group with a process in it cannot be removed.
		if e.res.ExitCode != 0 || (e.err != nil) != tt.lives {
			t.Errorf("without %s: %+v", tt.layers, e)
		}
		patience := 10 * time.Second
		if tt.lives {
			patience = 500 * time.Millisecond
		}
		left := withMark(mark, patience)
		if (len(left) > 0) != tt.lives {
			t.Errorf("without %s: left %v", tt.layers, left)
		}
		for _, p := range left {
			_ = p.Kill()
		}
	}
	s.sweep(t)
}

// withMark returns the processes whose arguments hold a text, once those that are
// on their way out are gone, or patience is over.
func withMark(text string, patience time.Duration) []*os.Process {
	var found []*os.Process
	for end := time.Now().Add(patience); time.Now().Before(end); {
		found = nil
		entries, _ := os.ReadDir("/proc")
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil || pid == os.Getpid() {
				continue
			}
			if b, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && strings.Contains(string(b), text) {
				if p, err := os.FindProcess(pid); err == nil {
					found = append(found, p)
				}
			}
		}
		if len(found) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return found
}
