// SPDX-License-Identifier: Apache-2.0

package results

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Job is one job of a run: the service as that job sees it. It is to be served in the
// job's own network only, so that a token that another one found is of no use there.
type Job struct {
	run   *Run
	id    string
	token string
	until time.Time
	ended atomic.Bool
}

// tokenLife is how long a token is good if its job does not end before: GitHub's
// longest job takes five days on a runner of one's own.
const tokenLife = 5 * 24 * time.Hour

// Job begins a job. Its id is one of the run's own and stands in the list of
// artifacts.
func (r *Run) Job(id string) (*Job, error) {
	if id == "" || len(id) > 255 || strings.ContainsAny(id, ": \r\n") { // the client splits at these
		return nil, fmt.Errorf("bug: %.80q is no id of a job", id)
	}
	j := &Job{run: r, id: id, until: time.Now().Add(tokenLife)}
	j.token = newToken(r.id, id, j.until, r.key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.jobs[id] != nil {
		return nil, fmt.Errorf("bug: job %s began twice, or after the end of its run", id)
	}
	r.jobs[id] = j
	return j, nil
}

// Token is what the job's clients show (ACTIONS_RUNTIME_TOKEN). It is a secret.
func (j *Job) Token() string { return j.token }

// Env is what clients need to find the service at an address, which has no slash at
// its end.
func (j *Job) Env(url string) map[string]string {
	return map[string]string{"ACTIONS_RESULTS_URL": url + "/", "ACTIONS_RUNTIME_TOKEN": j.token}
}

// PublicServer is the server that clients talk to this service for.
const PublicServer = "https://github.com"

// Refused reports whether the clients refuse every service where server is
// GITHUB_SERVER_URL: @actions/artifact 2.0 and later, and so upload-artifact and
// download-artifact from v4 on, take any host but github.com, *.ghe.com and *.localhost
// for a GitHub Enterprise Server, which had no such service (isGhes in its config.ts).
func Refused(server string) bool {
	u, err := url.Parse(server)
	if server == "" || err != nil {
		return false // the client takes the public one, or fails by itself
	}
	host := strings.ToLower(u.Hostname())
	return host != "github.com" && !strings.HasSuffix(host, ".ghe.com") && !strings.HasSuffix(host, ".localhost")
}

// End makes the token and all addresses worthless and drops what is not finished.
func (j *Job) End() {
	j.ended.Store(true)
	j.run.drop(func(u *upload) bool { return u.job == j })
}

// live reports whether the job goes on.
func (j *Job) live() bool { return !j.ended.Load() && time.Now().Before(j.until) }

// knows reports whether a request shows the job's token. It is compared as a whole:
// there is nothing in it to be believed.
func (j *Job) knows(r *http.Request) bool {
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(got), []byte(j.token)) == 1 && j.live()
}

// ServeHTTP answers the job's clients.
func (j *Job) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, twirpPrefix):
		j.twirp(w, r)
	case strings.HasPrefix(r.URL.Path, blobPrefix):
		j.blob(w, r)
	default:
		writeTwirp(w, &twirpError{http.StatusNotFound, "bad_route", "no such service here"})
	}
}
