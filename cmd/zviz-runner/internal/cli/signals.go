// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// signalGrace is how long a command may react to a forwarded signal before it
// is told to end. With the executor's own grace of 500 ms the whole stays below
// one second.
const signalGrace = 300 * time.Millisecond

// signalled is the cause of a cancelled execution.
type signalled struct{ sig syscall.Signal }

func (s signalled) Error() string { return "interrupted by " + signalName(s.sig) }
func (s signalled) exitCode() int { return exitSignal + int(s.sig) }

// signalWatch turns signals to us into what they mean for the command.
type signalWatch struct {
	forward chan int      // signals for the command
	abandon chan struct{} // closed when the operator will not wait for the end any more
	end     chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

// watchSignals forwards signals until stop. One that asks us to end is
// forwarded, then ends the command; the second one ends it at once, the third
// does not wait for it.
func watchSignals(cancel context.CancelCauseFunc, t *terminal) *signalWatch {
	w := &signalWatch{forward: make(chan int, 8), abandon: make(chan struct{}), end: make(chan struct{})}
	ch := make(chan os.Signal, 32)
	// SIGPIPE is caught so that a write to a closed pipe is an error that ends the
	// command in order, not the end of this process (os/signal, "SIGPIPE").
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGWINCH)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		// Ignored by whoever started us (nohup, a shell's "&"): so it stays.
		if !signal.Ignored(s) {
			signal.Notify(ch, s)
		}
	}
	w.running.Go(func() {
		defer signal.Stop(ch)
		var grace <-chan time.Time
		var first syscall.Signal
		asked := 0
		for {
			select {
			case <-w.end:
				if asked > 0 {
					// The command ended on the forwarded signal, before its grace did.
					cancel(signalled{first})
				}
				return
			case <-grace:
				cancel(signalled{first})
			case got := <-ch:
				switch s, _ := got.(syscall.Signal); s {
				case syscall.SIGPIPE:
				case syscall.SIGWINCH:
					t.resized()
				case syscall.SIGUSR1, syscall.SIGUSR2:
					w.send(s)
				default:
					asked++
					switch asked {
					case 1:
						first = s
						w.send(s)
						grace = time.After(signalGrace)
					case 2:
						cancel(signalled{first})
					default:
						cancel(signalled{first})
						close(w.abandon)
						return
					}
				}
			}
		}
	})
	return w
}

// send does not wait: before the command runs nobody reads, and then the
// cancellation that follows does the work.
func (w *signalWatch) send(s syscall.Signal) {
	select {
	case w.forward <- int(s):
	default:
	}
}

func (w *signalWatch) stop() {
	w.once.Do(func() { close(w.end) })
	w.running.Wait()
}

// signalName returns "SIGINT" and the like for the signals that end us.
func signalName(s syscall.Signal) string {
	switch s {
	case syscall.SIGINT:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGHUP:
		return "SIGHUP"
	case syscall.SIGQUIT:
		return "SIGQUIT"
	default:
		return s.String()
	}
}
