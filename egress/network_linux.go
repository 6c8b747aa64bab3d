// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/zviz/run/internal/linux"
)

// Network is the network of one job.
type Network struct {
	cell     *cell
	gateway  *gateway
	resolver *resolver
	files    JobFiles
	path     string
	policy   Policy   // the rules of its presets in it
	presets  []Preset // that policies of steps may name
	cancel   context.CancelCauseFunc
}

// errClosed is the cause by which what a network serves ends.
var errClosed = errors.New("network closed")

// Open makes the network of a job and serves it until Close. The context bounds
// the opening only.
func Open(ctx context.Context, cfg Config) (*Network, error) {
	ahead := cfg.Ahead
	if ahead == nil {
		ahead = Begin()
	}
	defer ahead.Close()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	g, files, err := newGateway(cfg)
	if err != nil {
		return nil, &ConfigError{err}
	}
	for _, lack := range g.lacks {
		g.log.LogAttrs(ctx, slog.LevelWarn, "a credential of the toolchain is not used", slog.Any("err", lack))
	}
	ports := g.ports
	c, err := ahead.open(func(c *cell, index int) error { return c.listen(ctx, ports, g.services, index) })
	if err != nil {
		return nil, err
	}
	serving, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	n := &Network{
		cell: c, gateway: g, files: files, cancel: cancel,
		policy: withPresets(cfg.Policy, cfg.Presets), presets: slices.Concat(cfg.Presets, cfg.StepPresets),
		path: "/proc/self/fd/" + strconv.Itoa(int(c.jobNS.Fd())),
	}
	a := &attributor{diag: c.diag, processes: cfg.Processes}
	g.who = a.find
	g.web = newWeb(serving, g)
	n.serve(serving, ports)
	return n, nil
}

// serve starts everything that runs until Close.
func (n *Network) serve(ctx context.Context, ports []uint16) {
	g, c := n.gateway, n.cell
	g.wg.Go(func() { g.web.run(ctx) })
	for _, port := range ports {
		l := c.doors[port]
		switch port {
		case 443:
			g.wg.Go(func() { g.serve(ctx, l, DoorTLS, g.serveTLS) })
		case 80:
			g.wg.Go(func() { g.serve(ctx, l, DoorHTTP, g.serveHTTP) })
		default:
			g.wg.Go(func() { g.serve(ctx, l, DoorTLS, g.serveEither) })
		}
	}
	g.wg.Go(func() { g.passages.watch(ctx, g.limits.IdleTimeout) })
	g.wg.Go(func() { g.serve(ctx, c.proxy, DoorConnect, g.serveProxy) })
	for i, s := range g.services {
		g.wg.Go(func() { s.run(ctx) })
		g.wg.Go(func() { g.serve(ctx, c.services[i], DoorHTTP, s.connection) })
	}
	n.resolver = newResolver(g)
	n.resolver.run(ctx, c.dnsUDP, c.dnsTCP)
	w := &watcher{g: g, tap: c.tap, bucket: bucket{perSecond: watchPerSecond}, answer: bucket{perSecond: answerPerSecond}}
	for _, in := range c.tap.in {
		g.wg.Go(func() { w.run(ctx, in) })
	}
}

// Path returns the path of the job's network namespace, valid in this process
// until Close. The descriptor behind it is close-on-exec.
func (n *Network) Path() string { return n.path }

// Files returns what the job needs to find its network.
func (n *Network) Files() JobFiles { return n.files }

// Begin makes a step the running one, with the policy that Config.Policy has for it.
// id tells it from every other step of the job.
func (n *Network) Begin(id string, name StepName) error {
	return n.begin(id, cmp.Or(name.Name, name.ID, id), n.policy.ForStep(name, n.presets))
}

// SetStep makes a step the running one: its policy, which Policy.ForStep returns,
// is in force from now on. Connections and requests to where it does not lead are cut. The policy
// must be one of those that Open was given: which ports have a door and which names
// a certificate is decided there.
func (n *Network) SetStep(id string, p Policy) error { return n.begin(id, id, p) }

func (n *Network) begin(id, name string, p Policy) error {
	g := n.gateway
	if err := p.check(); err != nil {
		return err
	}
	rules := p.allRules(nil)
	for _, port := range doors(rules) {
		if !slices.Contains(g.ports, port) {
			return fmt.Errorf("step %s: port %d is not among those that the network was opened with", clip(id), port)
		}
	}
	for _, host := range terminated(rules) {
		if !slices.Contains(g.signed, host) {
			return fmt.Errorf("step %s: host %s is not among those that the network was opened with", clip(id), host)
		}
	}
	g.policies.set(id, name, p)
	for _, p := range g.passages.all() {
		g.settle(p)
	}
	g.web.near.forget() // what a step may reach at home the next one may not
	return nil
}

// ServiceURL returns where the job finds a service of Config, without a slash at the
// end; empty if there is none of that name.
func (n *Network) ServiceURL(name string) string {
	for _, s := range n.gateway.services {
		if s.name == name {
			return s.url()
		}
	}
	return ""
}

// Served returns how many requests each service has served.
func (n *Network) Served() map[string]int64 {
	out := map[string]int64{}
	for _, s := range n.gateway.services {
		out[s.name] = s.served.Load()
	}
	return out
}

// Complete reports whether the events tell everything that left the cell: no
// connection was spliced so far, and none was too many to be kept.
func (n *Network) Complete() bool { return !n.gateway.opaque.Load() && !n.gateway.rec.full() }

// Close ends every connection and returns when nothing of the network runs any
// more and every event was handed on. The kernel removes the namespaces once the
// job's last process is gone.
func (n *Network) Close() error {
	n.cancel(errClosed)
	n.resolver.close()
	err := n.cell.close()
	n.gateway.conns.cut()
	n.gateway.web.close()
	for _, s := range n.gateway.services {
		s.close()
	}
	n.gateway.wg.Wait()
	n.gateway.rec.close()
	if err != nil {
		n.gateway.log.LogAttrs(context.Background(), slog.LevelWarn, "close network", slog.Any("err", err))
	}
	return err
}

// Loopback is a network namespace with nothing but its loopback, for steps that
// share it.
type Loopback struct{ cell *cell }

// OpenLoopback makes one.
func OpenLoopback() (*Loopback, error) {
	c := &cell{}
	err := linux.OnDiscardedThread(func() error {
		h, err := c.makeJobNS()
		if err != nil {
			return err
		}
		h.Close()
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("job namespace: %w", err), c.close())
	}
	return &Loopback{c}, nil
}

// Path returns the namespace's path, valid in this process until Close.
func (l *Loopback) Path() string { return "/proc/self/fd/" + strconv.Itoa(int(l.cell.jobNS.Fd())) }

// Close gives the namespace up. The kernel removes it with its last process.
func (l *Loopback) Close() error { return l.cell.close() }
