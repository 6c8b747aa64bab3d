// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/internal/pairs"
)

const (
	splicedHost    = "spliced.test"
	rawHost        = "rawbits.test" // as long: see rawHello
	terminatedHost = "terminated.test"
)

type plan struct {
	rounds, mib, conns, networks int
	profile                      string
}

// way is one way to make a download.
type way struct {
	name    string
	by      *child
	order   order
	seconds []float64
	cpu     []float64 // seconds of the gateway's process
}

func (p plan) measure(ctx context.Context, out io.Writer) (err error) {
	var ends []func() error
	defer func() {
		for _, end := range slices.Backward(ends) {
			err = errors.Join(err, end())
		}
	}()
	id, err := newIdentity(splicedHost, terminatedHost)
	if err != nil {
		return err
	}
	v, err := newVeth(ctx)
	if err != nil {
		return fmt.Errorf("veth: %w", err)
	}
	files := make([]*os.File, listeners)
	addrs := make([]string, listeners)
	for i := range files {
		if i == rawNear || i == tlsNear {
			if files[i], err = listen(ctx, "127.0.0.1:0"); err != nil {
				return err
			}
		} else {
			files[i] = v.listen[i-rawVeth]
		}
		if addrs[i], err = addrOf(files[i]); err != nil {
			return err
		}
	}
	server, err := start(ctx, "outside", nil, files...)
	if err != nil {
		return err
	}
	ends = append(ends, server.end)
	if err := server.enc.Encode(id); err != nil {
		return err
	}
	for _, f := range files {
		if err := f.Close(); err != nil {
			return err
		}
	}
	n, err := egress.Open(ctx, config(id, addrs))
	if err != nil {
		return err
	}
	ends = append(ends, n.Close)
	jobNS, err := os.Open(n.Path())
	if err != nil {
		return err
	}
	job, err := start(ctx, "inside", jobNS)
	if err = errors.Join(err, jobNS.Close()); err != nil {
		return err
	}
	ends = append(ends, job.end)
	direct, err := start(ctx, "inside", v.client)
	if err = errors.Join(err, v.client.Close()); err != nil {
		return err
	}
	ends = append(ends, direct.end)

	roots := n.Files().CABundle
	door := egress.GatewayAddr + ":443"
	size := int64(p.mib) << 20
	ways := []*way{
		{name: "bytes, direct veth", by: direct, order: order{Kind: "raw", Addr: addrs[rawVeth], Host: rawHost, N: size}},
		{name: "bytes, spliced", by: job, order: order{Kind: "raw", Addr: door, Host: rawHost, N: size}},
		{name: "TLS, direct veth", by: direct, order: order{Kind: "tls", Addr: addrs[tlsVeth], Host: splicedHost, N: size, Roots: id.Cert}},
		{name: "TLS, spliced", by: job, order: order{Kind: "tls", Addr: door, Host: splicedHost, N: size, Roots: roots}},
		{name: "TLS, terminated, HTTP/1.1", by: job, order: order{Kind: "tls", Addr: door, Host: terminatedHost, N: size, Roots: roots}},
		{name: "TLS, terminated, HTTP/2 inside", by: job, order: order{Kind: "tls", Addr: door, Host: terminatedHost, N: size, Roots: roots, H2: true}},
	}
	if err := p.download(ways); err != nil {
		return err
	}
	p.printDownloads(out, ways)
	if err := p.questions(out, job); err != nil {
		return err
	}
	if err := p.crowd(out, job, order{Kind: "many", Addr: door, N: int64(p.conns), Roots: roots}); err != nil {
		return err
	}
	return p.openAndClose(ctx, out)
}

func config(id identity, addrs []string) egress.Config {
	return egress.Config{
		ID: "bench", Roots: id.Cert,
		Policy: egress.Policy{
			Rules:    []egress.Rule{{Host: splicedHost}, {Host: rawHost}, {Host: terminatedHost, TLS: egress.TLSTerminate}},
			Limits:   egress.Limits{DNSPerSecond: 1 << 20},
			Upstream: egress.Upstream{Hosts: map[string]string{splicedHost: addrs[tlsNear], rawHost: addrs[rawNear], terminatedHost: addrs[tlsNear]}},
		},
		Processes: func() []int { return nil },
	}
}

// download makes each download once in each round, beginning at another one each
// time.
func (p plan) download(ways []*way) error {
	const warmUp = 3
	if p.profile != "" {
		f, err := os.OpenFile(p.profile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			_ = f.Close() // a profile that is cut off says so itself
		}()
	}
	for i := range p.rounds + warmUp {
		for j := range ways {
			w := ways[(i+j)%len(ways)]
			before := cpu()
			a, err := w.by.order(w.order)
			if err != nil {
				return fmt.Errorf("round %d: %w", i, err)
			}
			if i >= warmUp {
				w.seconds = append(w.seconds, a.Seconds)
				w.cpu = append(w.cpu, cpu()-before)
			}
		}
	}
	return nil
}

// cpu is what this process has used, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func (p plan) printDownloads(out io.Writer, ways []*way) {
	fmt.Fprintf(out, "%d interleaved rounds, %d MiB each; ratio of the medians with its bootstrap 95 %% interval\n\n", p.rounds, p.mib)
	fmt.Fprintln(out, "| download | Gbit/s | gateway's CPU s/GiB | of direct | budget |")
	fmt.Fprintln(out, "|---|---|---|---|---|")
	budgets := []float64{0, 0.9, 0, 0.9, 0.6, 0.6}
	bits := float64(p.mib) * (1 << 20) * 8
	for i, w := range ways {
		ratio, verdict := "1", ""
		if budgets[i] > 0 {
			r := pairs.Ratio(ways[min(i&^1, 2)].seconds, w.seconds) // of bytes, or of TLS
			ratio = fmt.Sprintf("%.2f (%.2f–%.2f)", r.Value, r.Low, r.High)
			verdict = fmt.Sprintf("≥ %.1f: %s", budgets[i], r.AtLeast(budgets[i]))
		}
		fmt.Fprintf(out, "| %s | %.2f | %.2f | %s | %s |\n", w.name, bits/pairs.Quantile(w.seconds, 0.5)/1e9, pairs.Quantile(w.cpu, 0.5)*1024/float64(p.mib), ratio, verdict)
	}
}

// questions asks the resolver.
func (p plan) questions(out io.Writer, job *child) error {
	medians := make([]float64, 0, p.rounds)
	var all []float64
	for range p.rounds {
		a, err := job.order(order{Kind: "dns", Addr: egress.GatewayAddr + ":53", Host: splicedHost, N: 500})
		if err != nil {
			return err
		}
		medians = append(medians, pairs.Quantile(a.Micros, 0.5))
		all = append(all, a.Micros...)
	}
	m := pairs.Median(medians)
	fmt.Fprintf(out, "\nanswer of the resolver: %.0f µs p50 (%.0f–%.0f), %.0f p99; ≤ 100 µs: %s\n", m.Value, m.Low, m.High, pairs.Quantile(all, 0.99), m.AtMost(100))
	return nil
}

// crowd has many connections at the same time.
func (p plan) crowd(out io.Writer, job *child, o order) error {
	for _, host := range []string{splicedHost, terminatedHost} {
		o.Host = host
		before := state()
		a, err := job.order(o)
		if err != nil {
			return err
		}
		settle(before)
		fmt.Fprintf(out, "%d connections at once to %s: all served in %.2f s; before: %s; after: %s\n", p.conns, host, a.Seconds, before, state())
	}
	return nil
}

// openAndClose looks for what networks leave.
func (p plan) openAndClose(ctx context.Context, out io.Writer) error {
	one := func() error {
		n, err := egress.Open(ctx, egress.Config{ID: "bench", Policy: egress.Policy{Rules: []egress.Rule{{Host: terminatedHost, TLS: egress.TLSTerminate}}}})
		if err != nil {
			return err
		}
		return n.Close() //nolint:contextcheck // it waits for what it serves, whatever ends us
	}
	for range 5 {
		if err := one(); err != nil {
			return err
		}
	}
	time.Sleep(time.Second) // the kernel takes namespaces apart in its own time
	before, begin := state(), time.Now()
	for range p.networks {
		if err := one(); err != nil {
			return err
		}
	}
	each := time.Since(begin).Seconds() * 1000 / float64(p.networks)
	settle(before)
	fmt.Fprintf(out, "%d networks opened and closed, %.1f ms each; before: %s; after: %s\n", p.networks, each, before, state())
	return nil
}

// count is what could grow.
type count struct{ descriptors, goroutines, threads, namespaces int }

func (c count) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %d threads, %d network namespaces on the machine", c.descriptors, c.goroutines, c.threads, c.namespaces)
}

func state() count {
	entries := func(dir string) int {
		list, err := os.ReadDir(dir)
		if err != nil {
			return -1
		}
		return len(list)
	}
	return count{entries("/proc/self/fd"), runtime.NumGoroutine(), entries("/proc/self/task"), namespaces()}
}

// namespaces counts those of the whole machine: the kernel tells of no others.
func namespaces() int {
	text, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "net_namespace" {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				return -1
			}
			return n
		}
	}
	return -1
}

// settle waits until as much is there as before, or for as long as that may take.
func settle(before count) {
	for range 100 {
		now := state()
		if now.descriptors <= before.descriptors && now.goroutines <= before.goroutines && now.namespaces <= before.namespaces {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
