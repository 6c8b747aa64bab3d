// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/zviz/run/egress"
)

// lateHandler is a service of a cell that may be opened before its job is known.
type lateHandler struct {
	handler atomic.Pointer[http.Handler] // nil: no job yet
}

func (h *lateHandler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if to := h.handler.Load(); to != nil {
		(*to).ServeHTTP(rw, r)
		return
	}
	http.Error(rw, "no job yet", http.StatusServiceUnavailable)
}

// lateServices are the services of a cell, by name.
type lateServices map[string]*lateHandler

// declare makes the services of a network out of those of a request.
func (l *lateServices) declare(list []egress.Service) []egress.Service {
	var out []egress.Service
	*l = lateServices{}
	for _, s := range list {
		h := &lateHandler{}
		(*l)[s.Name] = h
		out = append(out, egress.Service{Name: s.Name, Handler: h})
	}
	return out
}

// give sets the handlers. Those without one are to come.
func (l lateServices) give(list []egress.Service) error {
	for _, s := range list {
		h, ok := l[s.Name]
		if !ok {
			return fmt.Errorf("bug: the cell was opened without the service %q", s.Name)
		}
		if s.Handler != nil {
			h.handler.Store(&s.Handler)
		}
	}
	return nil
}

// errServices: a service listens in the job's network.
var errServices = errors.New("the job's services (artifacts) need a network of its own: it has none, or the host's")
