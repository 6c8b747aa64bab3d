// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// errUpCap says that a host has got what a job may send it.
var errUpCap = errors.New("up-cap")

const upCapHint = "the host has got all that a job may send it: egress.limits.up_bytes_per_host of the policy file"

// budget bounds the bytes that a job sends to each host, whatever way they take.
type budget struct {
	most int64 // of one host; 0: no limit

	mu   sync.Mutex
	sent map[string]int64
}

// take returns how many of n bytes may go to the host.
func (b *budget) take(host string, n int) int {
	if b.most <= 0 {
		return n
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sent == nil {
		b.sent = map[string]int64{}
	}
	got := int(min(int64(n), b.most-b.sent[host]))
	b.sent[host] += int64(got)
	return got
}

// writer bounds what is written to a host. Without a limit it is out itself, so that
// copies stay splice(2).
func (b *budget) writer(host string, out io.Writer) io.Writer {
	if b.most <= 0 || host == "" {
		return out
	}
	return budgetWriter{out, b, host}
}

// budgetWriter writes to a host until the budget is spent, then fails with errUpCap.
type budgetWriter struct {
	io.Writer
	of   *budget
	host string
}

func (w budgetWriter) Write(p []byte) (int, error) {
	may := w.of.take(w.host, len(p))
	n, err := w.Writer.Write(p[:may])
	if err == nil && may < len(p) {
		err = errUpCap
	}
	return n, err
}

// budgetReader reads what goes to a host until the budget is spent, then fails with
// errUpCap.
type budgetReader struct {
	io.ReadCloser
	of   *budget
	host string
	over *atomic.Bool
}

func (r budgetReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if may := r.of.take(r.host, n); may < n {
		r.over.Store(true)
		return may, errUpCap
	}
	return n, err
}
