// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"log/slog"
	"time"

	"github.com/zviz/run/internal/canary"
)

// The addresses of every job's network. Each job has a gateway namespace of its
// own, so all can use the same pair: no allocator, no clash with a LAN or VPN.
const (
	GatewayAddr = "169.254.1.1"
	JobAddr     = "169.254.1.2"
	ProxyPort   = 3128 // the explicit HTTP proxy, on GatewayAddr
)

// Where the job finds what Files returns. The caller puts it there, for the
// whole life of the job: tools remember the path.
const (
	CABundlePath = "/etc/ssl/certs/ca-certificates.crt"
	JobCAPath    = "/etc/ssl/certs/zviz-job-ca.pem"
)

// Config is what Open needs.
type Config struct {
	// Ahead is what Begin began for this network; nil: everything is made now. It is
	// used up, whatever Open returns.
	Ahead *Ahead

	ID      string // of the job; in events
	Policy  Policy
	Presets []Preset // their rules are added to Policy.Rules, their settings to Files
	// StepPresets are those that only Policy.Steps name: settings, but no rules for
	// who is not in such a step.
	StepPresets []Preset
	// Filters have a say in each request that is seen, in their order.
	Filters []Filter
	// Packages answers requests to the registries of presets; nil: they do.
	Packages Packages
	// Services are what the runner itself serves to the job.
	Services []Service
	// Offline dials nothing: Packages alone answers.
	Offline bool
	// Credential reads what Inject.ValueFrom names, once, when the network opens.
	Credential func(from string) (string, error)

	// Canaries returns what finds the credentials that were planted in the job's home;
	// it is called when first needed. Whatever holds one is refused. Nil: there are none.
	Canaries func() *canary.Finder

	// Roots are the CA certificates that this process trusts, PEM. Empty means
	// those of the operating system; the job's bundle is made of them.
	Roots []byte

	// Proxies are those of this process's own environment.
	Proxies Proxies

	// Observe gets each event, one at a time. It must not block and must not call
	// the Network. Nil discards.
	Observe func(Event)
	// Processes returns the job's processes by host pid, for attribution. It is
	// called from many goroutines. Nil means that events name no process.
	Processes func() []int

	// StepOf returns the step of a process by host pid, empty if it is not known, and
	// LiveSteps those that have a process. They are called from many goroutines. Nil
	// means that processes are not told apart.
	StepOf    func(pid int) string
	LiveSteps func() []string

	Log *slog.Logger

	patience time.Duration // slotPatience; tests have less
}

// ConfigError says that Open was given what makes no network: a rule that contradicts
// itself, a credential that is not there. The machine is not to blame.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// JobFiles is what a job needs to find its network.
type JobFiles struct {
	CABundle   []byte            // for CABundlePath: the trusted roots and the job's own CA, PEM
	JobCA      []byte            // for JobCAPath: the job's own CA alone, PEM; empty if no host is terminated
	ResolvConf []byte            // for /etc/resolv.conf
	Hosts      []byte            // for /etc/hosts
	Env        map[string]string // CA variables and the settings of presets
	Files      map[string][]byte // settings of presets by absolute path inside
}
