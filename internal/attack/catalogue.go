// SPDX-License-Identifier: Apache-2.0

package attack

// Elsewhere names the rows of the published table, of the classes network,
// resource and protocol, that are no attempt of this package: with the test that
// makes them, or what they wait for.
func Elsewhere() map[string]string {
	const (
		steps  = "later: needs the steps of a workflow"
		forge  = "later: needs a forge"
		caches = "later: needs the cache and its service"
	)
	return map[string]string{
		"res-06": "TestDiskWatch in executor: a disk of its own, since the host's cannot be filled",
		"res-08": "TestResourceAttacks: the report's processor time is the evidence",
		"res-10": "TestResourceAttacks: the memory of the runner is the evidence; exec passes output on and keeps none, so it has nothing to cut: the cap is later, with the log of a step",
		"res-11": "TestResourceAttacks: the report's cause is the evidence",
		"res-13": caches,
		"pr-01":  steps,
		"pr-02":  steps,
		"pr-03":  steps,
		"pr-04":  steps,
		"pr-05":  "TestSecretIsMasked: the output is the evidence",
		"pr-06":  steps,
		"pr-07":  steps,
		"pr-08":  steps,
		"pr-09":  steps,
		"pr-10":  "later: output of exec is the command's own; what the runner prints itself is clean (ui.CleanLine has the test)",
		"pr-11":  steps,
		"pr-13":  caches,
		"pr-14":  forge,
	}
}
