// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
)

// Bounds of the live view: the command chooses the names.
const (
	liveRowsMost  = 1000 // that are told apart
	liveLinesMost = 100  // printed one by one, without a terminal
)

// liveView shows the decisions about the network as they happen: the last ones below
// the command's output on a terminal, and each new one as a line with --progress plain.
type liveView struct {
	say func(line string) // nil on a terminal

	mu    sync.Mutex
	rows  map[liveKey]*liveRow
	seen  int
	more  int            // decisions of rows that are not kept
	count map[string]int // decisions by word

	queue   chan string
	running sync.WaitGroup
	once    sync.Once
}

// liveKey is what a row is about.
type liveKey struct {
	host    string
	port    uint16
	verdict egress.Verdict
	reason  string
}

type liveRow struct {
	liveKey
	door     egress.Door
	expected bool
	count    int
	up, down int64
	last     int // when, in decisions
}

// newLiveView makes a view; say prints a line, nil draws rows.
func newLiveView(say func(line string)) *liveView {
	v := &liveView{say: say, rows: map[liveKey]*liveRow{}, count: map[string]int{}}
	if say != nil {
		queue := make(chan string, liveLinesMost) // all there will be: no decision waits for a reader
		v.queue = queue
		v.running.Go(func() {
			for line := range queue {
				say(line)
			}
		})
	}
	return v
}

// event takes a decision in. It does not wait.
func (v *liveView) event(e egress.Event) {
	if e.Door == egress.DoorDNS && e.Verdict == egress.VerdictAllow {
		return // the connection that follows is the decision
	}
	k := liveKey{cmp.Or(e.Host, e.Dst), e.Port, e.Verdict, e.Reason}
	n := max(e.Count, 1)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen++
	v.count[verdictWord(e.Verdict)] += n
	r := v.rows[k]
	if r == nil {
		if len(v.rows) == liveRowsMost {
			v.more += n
			return
		}
		r = &liveRow{liveKey: k, door: e.Door, expected: e.Expected}
		v.rows[k] = r
		v.tell(r, e)
	}
	r.count += n
	r.up += e.Up
	r.down += e.Down
	r.last = v.seen
}

// tell queues the line of a new row. It needs the lock.
func (v *liveView) tell(r *liveRow, e egress.Event) {
	if v.queue == nil || len(v.rows) > liveLinesMost {
		return
	}
	line := r.what()
	if e.PID != 0 {
		line += " by " + decision.Process(e.Exe, e.PID)
	}
	if len(v.rows) == liveLinesMost {
		line = "more decisions follow; the summary has them"
	}
	v.queue <- line
}

// close ends the printing. Events may still come.
func (v *liveView) close() {
	v.once.Do(func() {
		v.mu.Lock()
		queue := v.queue
		v.queue = nil
		v.mu.Unlock()
		if queue != nil {
			close(queue)
			v.running.Wait()
		}
	})
}

// what is "denied tracker.example.com:443 (host)".
func (r *liveRow) what() string {
	s := verdictWord(r.verdict) + " " + decision.Host(egress.Summary{Host: r.host, Port: r.port, Door: r.door})
	if r.reason != "" && r.reason != egress.ReasonHost {
		s += " (" + r.reason + ")"
	}
	return s
}

// bad reports whether somebody should look.
func (r *liveRow) bad() bool { return r.verdict == egress.VerdictDeny && !r.expected }

// draw returns the rows of the view: a head, then what was refused, then the rest, each
// with the latest first.
func (v *liveView) draw(_, most int) []ui.Row {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == 0 || most < 1 {
		return nil
	}
	list := make([]*liveRow, 0, len(v.rows))
	for _, r := range v.rows {
		list = append(list, r)
	}
	rank := func(r *liveRow) int {
		switch {
		case r.bad():
			return 0
		case r.verdict == egress.VerdictWouldDeny, r.verdict == egress.VerdictLearned:
			return 1
		default:
			return 2
		}
	}
	slices.SortFunc(list, func(a, b *liveRow) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.last, a.last))
	})
	var counts []string
	for _, w := range []egress.Verdict{egress.VerdictDeny, egress.VerdictWouldDeny, egress.VerdictLearned, egress.VerdictAllow} {
		if word := verdictWord(w); v.count[word] > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", v.count[word], word))
		}
	}
	out := []ui.Row{{Text: "zviz: network: " + strings.Join(counts, ", "), Bad: len(list) > 0 && list[0].bad()}}
	for _, r := range list {
		if len(out) >= most {
			break
		}
		text := "  " + r.what() + timesPlain(r.count)
		if r.up+r.down > 0 {
			text += fmt.Sprintf(", up %s down %s", ui.Amount(r.up), ui.Amount(r.down))
		}
		out = append(out, ui.Row{Text: text, Bad: r.bad()})
	}
	return out
}

func timesPlain(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" x%d", n)
}

// verdictWord is how people read a verdict.
func verdictWord(v egress.Verdict) string {
	switch v {
	case egress.VerdictDeny:
		return "denied"
	case egress.VerdictWouldDeny:
		return "let through"
	case egress.VerdictLearned:
		return "learned"
	case egress.VerdictAllow, egress.VerdictNote:
		return "allowed"
	default:
		return string(v)
	}
}

// shownView is the live view of an execution; without one its methods do nothing.
type shownView struct {
	*liveView
	ui *ui.UI
}

// liveView makes the live view, if there is somebody to see it and room for it. A
// command that has the keys has the terminal, and what reads its output through a pipe
// may write to the terminal too: nothing is drawn then, unless it is asked for.
func (e *execution) liveView(t *terminal, req *executor.Request) shownView {
	if e.json || req.Policy.NoNetwork {
		return shownView{}
	}
	v := shownView{ui: e.ui}
	switch mode := e.ui.Mode(); {
	case mode == "plain" && !t.keys:
		v.liveView = newLiveView(func(line string) { e.ui.Notef("%s", ui.CleanLine(line)) })
	case mode == "tty" && (e.progress == "tty" || !t.keys && !isPipe(e.Out)):
		v.liveView = newLiveView(nil)
		if t.tty.Stdout {
			req.Stdout = e.ui.Beside(req.Stdout)
		}
		if t.tty.Stderr {
			req.Stderr = e.ui.Beside(req.Stderr)
		}
	default:
		return shownView{}
	}
	req.Observe = v.event
	return v
}

// isPipe reports whether somebody else reads what is written to f.
func isPipe(f *os.File) bool {
	fi, err := f.Stat()
	return err == nil && fi.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0
}

// show begins the drawing, when the command does.
func (v shownView) show() {
	if v.liveView != nil && v.say == nil {
		v.ui.Live(v.draw)
	}
}

// end takes the view away.
func (v shownView) end() {
	if v.liveView != nil {
		v.ui.Live(nil)
		v.close()
	}
}
