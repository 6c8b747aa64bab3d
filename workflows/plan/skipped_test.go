// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows/plan"
)

func TestWhySkipped(t *testing.T) {
	playAll(t, map[string]string{"./.github/workflows/c.yml": callee}, []scene{
		{
			"what it needs", "ours", "a: {}\n b: {needs: a}\n c: {needs: b, if: 1 == 1}\n d: {needs: b, if: always() && success('a')}", `
			finish a failure
			why b it needs a, which failed
			why c it needs b, which was skipped
			why d it needs b, which was skipped
			done failure`,
		},
		{
			"its own condition", "ours", "a: {if: false}\n b: {if: failure()}\n c: {if: \"github.ref == 'x'\"}\n d: {if: success() && failure()}", `
			why a its condition is false
			why b its condition is false
			why c its condition is false
			why d its condition is false
			done skipped`,
		},
		{
			"both", "ours", "a: {}\n b: {needs: a, if: false}", `
			finish a failure
			why b its condition is false`,
		},
		{
			"one that failed further up", "ours", "a: {}\n o: {}\n b: {needs: [o, a], if: always()}\n c: {needs: b}", `
			finish a failure
			finish o success
			finish b success
			why c it needs a, which failed`,
		},
		{
			"of a called workflow", "ours", "c: {uses: ./.github/workflows/c.yml, with: {n: 1}}\n d: {needs: c}", `
			finish c.j failure
			why c.k it needs c / J, which failed
			why d it needs c, which failed`,
		},
		{
			"cancelled", "ours", "a: {}\n b: {needs: a}", `
			start a
			cancel
			finish a success
			why b its workflow was cancelled`,
		},
	})
	p := newPlan(t, jobs("a: {strategy: {matrix: {v: [1]}}}"), nil, plan.Options{Matrix: map[string]string{"v": "2"}})
	play(t, p, "is a skipped\nwhy a none of its cells was asked for")
}

func TestCancelJob(t *testing.T) {
	files := map[string]string{"./.github/workflows/c.yml": callee}
	p := newPlan(t, jobs("a: {}\n c: {uses: ./.github/workflows/c.yml, with: {n: 1}}\n w: {}"), files, plan.Options{})
	play(t, p, "start a c.j")
	p.CancelJob("a", "why not")
	p.CancelJob("c", "why not")
	p.CancelJob("w", "why not")
	p.CancelJob("nobody", "why not")
	if p.Over("a") || p.Over("c") || p.Over("nobody") || !p.Over("w") {
		t.Error("who waits has ended, and who runs has not")
	}
	if diff := cmp.Diff([]plan.Stop{{ID: "a", Reason: "why not"}, {ID: "c.j", Reason: "why not"}}, p.Stops()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	play(t, p, "is w cancelled\nwhy w why not\nfinish a cancelled\nfinish c.j cancelled\nis c.k skipped\nis c cancelled\ndone cancelled")
	if !p.Over("a") || !p.Over("c") || !p.Over("c.j") {
		t.Error("they have ended")
	}
	p.CancelJob("a", "again")
}

// TestNamesAsWritten: a job that never runs has its name as it stands in the file, as at
// GitHub, and not as the reader has put it together.
func TestNamesAsWritten(t *testing.T) {
	p := newPlan(t, "on: push\njobs:\n  a:\n    name: Build ${{ github.ref_name }} now\n    runs-on: x\n    if: false\n    steps: [{run: y}]\n"+
		"  b:\n    name: ${{ github.ref_name }}\n    needs: a\n    runs-on: x\n    steps: [{run: y}]\n", nil, plan.Options{})
	var got []string
	for _, n := range p.Graph() {
		got = append(got, n.Name)
	}
	for _, s := range p.Jobs() {
		got = append(got, s.Name, s.Why)
	}
	want := []string{
		"Build ${{ github.ref_name }} now", "${{ github.ref_name }}",
		"Build ${{ github.ref_name }} now", "its condition is false",
		"${{ github.ref_name }}", "it needs Build ${{ github.ref_name }} now, which was skipped",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
