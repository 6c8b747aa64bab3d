// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"os"
	"slices"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// hostNetworkNote is what an operator who accepted a missing net layer must know.
const hostNetworkNote = "no network isolation (--allow-missing net): the command is in this machine's network and can reach whatever this machine can; no connection is refused or reported"

// hostNetwork reports whether the command will be in the host's network, since
// the machine lacks the layer and the operator accepts that. A request that also
// asks for what only the layer can hold contradicts itself: it is refused.
func hostNetwork(probe sandbox.Probe, r Request) (bool, error) {
	offer := probe.Offer(sandbox.LayerNet)
	if offer.OK || !slices.Contains(r.Policy.AllowMissing, sandbox.LayerNet) {
		return false, nil // there, or refused as any missing layer
	}
	e := r.Policy.Egress
	var asked string
	switch {
	case r.Policy.NoNetwork:
		asked = "--no-network"
	case e.Mode == egress.ModeAudit, e.Mode == egress.ModeLearn:
		asked = "--egress " + string(e.Mode)
	case e.OnDeny == egress.FailStep, e.OnDeny == egress.FailJob:
		asked = "egress.on_deny"
	case len(e.Steps) > 0, len(e.Within) > 0:
		asked = "a policy of steps"
	case len(e.Rules) > 0, len(e.Deny) > 0, slices.ContainsFunc(r.Presets, func(p string) bool { return !slices.Contains(r.Guessed, p) }):
		asked = "a list of hosts (--allow, or the policy file)"
	default:
		return true, nil
	}
	return false, notHeld(probe, asked)
}

// notHeld is the error of what only the missing layer could hold.
func notHeld(probe sandbox.Probe, asked string) error {
	return &sandbox.LayerError{
		Layer: sandbox.LayerNet, Err: errors.New(asked + " cannot hold without it (" + probe.Offer(sandbox.LayerNet).Evidence + "): the command would be in this machine's network, so --allow-missing net is not enough"),
		Fix: "run it on a machine with network namespaces, or leave the other out to accept this machine's network",
	}
}

// heldOnHost refuses a repository's policy that nothing would keep.
func (c *cell) heldOnHost(probe sandbox.Probe) error {
	if c.narrowed == nil {
		return nil
	}
	return notHeld(probe, RepositoryPolicyName+" of the repository (--no-repo-policy leaves it unread)")
}

// useHostNetwork gives the command what names and certificates need.
func (c *cell) useHostNetwork() {
	c.spec.HostNetwork = true
	for _, name := range []string{"/etc/resolv.conf", "/etc/hosts", egress.CABundlePath} {
		if b, err := os.ReadFile(name); err == nil {
			c.spec.Files[name] = sandbox.File{Data: b}
		}
	}
}
