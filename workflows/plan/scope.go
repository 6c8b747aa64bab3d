// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// scope is a workflow that runs: the run's own, or one that a job calls.
type scope struct {
	caller    *cell  // nil for the run's own
	uses      string // of a called workflow
	id, name  string // what the ids and names of its jobs begin with
	order     []int
	env       *syntax.Token
	defaults  *syntax.Token
	inputs    *expr.Object
	secrets   *Secrets
	nodes     []*node
	byID      map[string]*node
	left      int // nodes that are not done
	cancelled bool
}

// node is a job as written. Its cells are the jobs that run: one without a matrix.
type node struct {
	def         *workflows.Job
	scope       *scope
	index       int
	needs       []*node
	dependents  []*node
	unmet       int
	above       summary // of all that it needs, to any depth
	contexts    expr.Values
	failFast    bool
	maxParallel int
	total       int // cells of the matrix
	cells       []*cell
	next        int // the first cell that has not had its turn
	active      int // cells that have, and are not done
	left        int // cells that are not done
	done        bool
	result      Conclusion
	outcome     Conclusion
	timedOut    bool
	why         string
	outputs     []Output
	slots       map[string]int // of outputs, by name
}

// summary is what the status functions ask of the ancestors of a job.
type summary struct{ failed, notAllSuccess bool }

func (s *summary) add(result Conclusion, above summary) {
	s.failed = s.failed || above.failed || result == Failure
	s.notAllSuccess = s.notAllSuccess || above.notAllSuccess || result != Success
}

// cell is a job that runs, or calls a workflow.
type cell struct {
	node     *node
	index    int
	id, name string
	order    []int
	matrix   []expr.Member
	strategy *expr.Object
	state    State
	entered  bool     // counts in node.active
	named    []Group  // concurrency groups, of a called file too
	wants    []Group  // those still to get
	holds    []*group // those that it has
	waitsIn  *group
	job      *Job   // once it has had its turn, until it is done
	size     int    // bytes that count in Plan.held
	callee   *scope // of a calling job
	sub      *scope // the same once it runs
	contexts expr.Values

	tolerated bool
	result    Conclusion
	outcome   Conclusion
	timedOut  bool
	why       string
	outputs   []Output
}

// add makes the nodes of a scope.
func (s *scope) add(p *Plan, jobs []*workflows.Job) {
	s.byID = make(map[string]*node, len(jobs))
	for i, j := range jobs {
		n := &node{def: j, scope: s, index: i}
		s.nodes = append(s.nodes, n)
		s.byID[expr.Fold(j.ID.Text)] = n
	}
	for _, n := range s.nodes {
		for _, t := range n.def.Needs {
			need := s.byID[expr.Fold(t.Text)] // Parse has checked that there is one
			if need == nil || slices.Contains(n.needs, need) {
				continue
			}
			n.needs = append(n.needs, need)
			need.dependents = append(need.dependents, n)
		}
		if n.unmet = len(n.needs); n.unmet == 0 {
			p.starts = append(p.starts, n)
		}
	}
	s.left = len(s.nodes)
}

// stopped says whether the workflow is cancelled, or one that calls it.
func (s *scope) stopped() bool {
	for s != nil {
		if s.cancelled {
			return true
		}
		if s.caller == nil {
			return false
		}
		s = s.caller.node.scope
	}
	return false
}

// list adds the jobs of a scope.
func (s *scope) list(to []Status) []Status {
	for _, n := range s.nodes {
		if len(n.cells) == 0 {
			to = append(to, n.status())
		}
		for _, c := range n.cells {
			to = append(to, c.status())
			if c.sub != nil {
				to = c.sub.list(to)
			}
		}
	}
	return to
}

// status is that of a job without cells: skipped, not yet known, or it could not be.
func (n *node) status() Status {
	st := Status{
		ID: n.scope.id + n.def.ID.Text, Name: n.scope.name + n.def.Name.Written(), State: Waiting,
		Calls: n.def.Uses != nil, Why: n.why,
	}
	if n.done {
		st.State, st.Conclusion, st.Outcome = Done, n.result, n.outcome
	}
	return st
}

func (c *cell) status() Status {
	return Status{
		ID: c.id, Name: c.name, State: c.state, Conclusion: c.result, Outcome: c.outcome,
		Calls: c.node.def.Uses != nil, Why: c.why, Outputs: slices.Clone(c.outputs),
	}
}

// aggregate is the result of several: a failure is the strongest.
func aggregate(n int, result func(int) Conclusion) Conclusion {
	counts := map[Conclusion]int{}
	for i := range n {
		counts[result(i)]++
	}
	switch {
	case counts[Failure] > 0:
		return Failure
	case counts[Cancelled] > 0:
		return Cancelled
	case counts[Success] == 0 && n > 0:
		return Skipped
	default:
		return Success
	}
}
