// SPDX-License-Identifier: Apache-2.0

// Package egress is the network of a job whose code is hostile: nothing leaves
// but requests to hosts that a Policy names.
//
//	npm, err := egress.Discover(ctx, "npm", run)   // hosts and settings of the operator's own toolchain
//	n, err := egress.Open(ctx, egress.Config{ID: "j1", Policy: policy, Presets: []egress.Preset{npm}, Observe: log})
//	if err != nil { ... }
//	defer n.Close()
//	spec.NetNS = n.Path()                          // the sandbox's child joins it
//	files := n.Files()                             // resolv.conf, CA bundle, environment
//
// A network is two network namespaces joined by one veth. The job's holds lo and
// eth0; the gateway's holds gw0 and our listening sockets, and nothing that
// leads anywhere else. The sockets are served from ordinary goroutines of this
// process and dials to the outside are made in the host's namespace, which gets
// no interface, address, route, rule or forwarding.
//
// What it guarantees:
//   - The name decides (SNI, Host, CONNECT authority), never the address the job
//     asked for. Names are resolved by us, at dial time.
//   - The resolver answers allowed names with the gateway's address and never
//     asks anybody on behalf of the job.
//   - Hosts of presets are TLS-terminated with a name-constrained CA of the job's
//     own: GET and HEAD only, no body, no upgrade, headers filtered.
//   - Addresses that are not global (loopback, private, link-local, metadata) are
//     refused at the moment of the dial, unless a rule says Private.
//   - Whatever is refused is refused at once, and is an Event.
//
// What it cannot do: a spliced host sees every byte the job sends it; a wildcard
// lets the job choose names in that zone (capped by Rule.MaxNames); and which
// package is asked of a registry, and when, is itself a small message.
//
// It needs Linux with veth and policy routing (CONFIG_VETH,
// CONFIG_IP_MULTIPLE_TABLES), CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN; with
// CONFIG_INET_DIAG events name the process.
//
// Sources: network_namespaces(7), veth(4), ip-rule(8), ip(7) (IP_TRANSPARENT),
// raw(7), sock_diag(7), RFC 8446, RFC 9110, RFC 9113, RFC 1035.
package egress
