// SPDX-License-Identifier: Apache-2.0

package attack

import "runtime"

// Elsewhere is a row of the published table that is no attempt of this package:
// a test makes it as a whole, or nothing can make it yet.
type Elsewhere struct {
	Row string
	// Test is the folder of a package and the name of a test in it, with that of a
	// subtest if it is one: "executor.TestDiskWatch". Empty if nothing makes the row.
	Test string
	// Why says what is looked at instead of a line that an attempt prints; without
	// a test: what the row waits for.
	Why string
}

// ForUser returns the row with the test that makes it where the runner is an
// ordinary user's: those of executor have it in their own process, which is root's.
func (e Elsewhere) ForUser() Elsewhere {
	switch e.Test {
	case "executor.TestLeftoverSetID":
		e.Test = "internal/attack.TestLeftovers"
	case "executor.TestDiskWatch":
		e.Test = "internal/attack.TestDisk"
	}
	return e
}

// Elsewheres returns the rows that are no attempts, in the order of the table.
func Elsewheres() []Elsewhere {
	const (
		host     = "internal/attack.TestHostRows"
		hostile  = "internal/attack.TestResourceAttacks/"
		steps    = "later: needs the steps of a workflow"
		forge    = "later: needs a forge"
		caches   = "later: needs the cache and its service"
		checkout = "later: needs checkouts, which come with the workflows"
		artifact = "later: needs artifacts, which come with the workflows"
	)
	all := []Elsewhere{
		{"fs-17", host, "a flag of the runner's"},
		{"fs-23", host, "a flag of the runner's"},
		{"fs-25", host, "the exit code is the evidence"},
		{"fs-28", "executor.TestLeftoverSetID", "the mode afterwards is the evidence"},
		{"proc-01", host, "the exit code is the evidence"},
		{"proc-02", host, "the exit code is the evidence"},
		{"proc-05", host, "that it ends is the evidence"},
		{"res-06", "executor.TestDiskWatch", "a disk of its own, since the host's cannot be filled"},
		{"res-08", hostile + "busy_loops", "the report's processor time is the evidence"},
		{"res-10", hostile + "log_flood", "the memory of the runner is the evidence; exec passes output on and keeps none, so it has nothing to cut: the cap is later, with the log of a step"},
		{"res-11", hostile + "terminate_ignored", "the report's cause is the evidence"},
		{"res-13", "", caches},
		{"ws-03", "", checkout},
		{"ws-04", "", artifact},
		{"ws-05", "", artifact},
		{"ws-06", "", artifact},
		{"ws-09", host, "that the canary is still there is the evidence"},
		{"ws-10", "executor.TestLeftoverSetID", "the mode afterwards is the evidence"},
		{"ws-11", "", caches},
		{"ws-12", "", caches},
		{"ws-13", host, "what the runner prints is the evidence"},
		{"pr-01", "", steps},
		{"pr-02", "", steps},
		{"pr-03", "", steps},
		{"pr-04", "", steps},
		{"pr-05", "internal/attack.TestSecretIsMasked", "the output is the evidence"},
		{"pr-06", "", steps},
		{"pr-07", "", steps},
		{"pr-08", "", steps},
		{"pr-09", "", steps},
		{"pr-10", "", "later: output of exec is the command's own; what the runner prints itself is clean (ui.CleanLine has the test)"},
		{"pr-11", "", steps},
		{"pr-13", "", caches},
		{"pr-14", "", forge},
	}
	if runtime.GOARCH != "amd64" {
		const none = "amd64 only: this processor has no such call"
		all = append(all, Elsewhere{"sc-18", "", none}, Elsewhere{"sc-20", "", none})
	}
	return all
}

// Added are rows of our own, which the published table does not have.
func Added() []string {
	return []string{"ns-14", "ns-15", "sc-30", "fs-33", "fs-34", "net-21", "net-22"}
}
