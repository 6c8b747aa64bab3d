// SPDX-License-Identifier: Apache-2.0

package results

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	twirpPrefix     = "/twirp/"
	artifactService = twirpPrefix + "github.actions.results.api.v1.ArtifactService/"
	twirpMost       = 64 << 10 // bytes of a request
)

// twirpError is an error in Twirp's form. Clients try 429 and most 5xx again, for half
// a minute, so what will not get better is none of these.
type twirpError struct {
	status    int
	code, msg string
}

func (e *twirpError) Error() string { return e.code + ": " + e.msg }

func invalid(err error) error {
	return &twirpError{http.StatusBadRequest, "invalid_argument", err.Error()}
}

func notFound(msg string) error { return &twirpError{http.StatusNotFound, "not_found", msg} }

func forbidden(msg string) error {
	return &twirpError{http.StatusForbidden, "permission_denied", msg}
}

func exists(msg string) error { return &twirpError{http.StatusConflict, "already_exists", msg} }

// exhausted is no 429, which clients would try again.
func exhausted(msg string) error {
	return &twirpError{http.StatusForbidden, "resource_exhausted", msg}
}

// twirp answers a call. Its body is JSON in every case: the client takes anything else
// for an error of the network.
func (j *Job) twirp(w http.ResponseWriter, r *http.Request) {
	answer, err := j.call(w, r)
	if err != nil {
		writeTwirp(w, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (j *Job) call(w http.ResponseWriter, r *http.Request) (any, error) {
	if !j.knows(r) {
		return nil, &twirpError{http.StatusUnauthorized, "unauthenticated", "the token is not this job's, or the job has ended"}
	}
	name, ok := strings.CutPrefix(r.URL.Path, artifactService)
	if !ok || r.Method != http.MethodPost {
		return nil, &twirpError{http.StatusNotFound, "bad_route", "this runner serves artifacts only"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, twirpMost))
	if err != nil {
		return nil, invalid(err)
	}
	var q request
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, invalid(err)
	}
	if q.Run != j.run.id {
		return nil, forbidden("the run is not the token's")
	}
	switch name {
	case "CreateArtifact", "FinalizeArtifact":
		if q.Job != j.id {
			return nil, forbidden("the job is not the token's")
		}
		if name == "CreateArtifact" {
			return j.create(&q, "http://"+r.Host)
		}
		return j.finalize(&q)
	case "ListArtifacts":
		return j.list(&q)
	case "GetSignedArtifactURL":
		return j.link(&q, "http://"+r.Host)
	case "DeleteArtifact":
		return j.remove(&q)
	}
	return nil, &twirpError{http.StatusNotFound, "bad_route", "no such method"}
}

// request is that of every method. Numbers of 64 bits are texts, and wrapped values
// stand bare (protobuf's JSON).
type request struct {
	Run      string  `json:"workflow_run_backend_id"`
	Job      string  `json:"workflow_job_run_backend_id"` // of List, Get and Delete: the artifact's
	Name     string  `json:"name"`
	Version  int     `json:"version"`
	MimeType string  `json:"mime_type"`
	Size     int64   `json:"size,string"`
	Hash     string  `json:"hash"`
	ByName   *string `json:"name_filter"`
	ByID     *int64  `json:"id_filter,string"`
}

type created struct {
	OK  bool   `json:"ok"`
	URL string `json:"signed_upload_url"`
}

type done struct {
	OK bool  `json:"ok"`
	ID int64 `json:"artifact_id,string"`
}

type listed struct {
	Artifacts []listedOne `json:"artifacts"`
}

type listedOne struct {
	Run     string    `json:"workflow_run_backend_id"`
	Job     string    `json:"workflow_job_run_backend_id"`
	ID      int64     `json:"database_id,string"`
	Name    string    `json:"name"`
	Size    int64     `json:"size,string"`
	Created time.Time `json:"created_at"`
	Digest  string    `json:"digest"`
}

type linked struct {
	URL string `json:"signed_url"`
}

func writeTwirp(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*twirpError](err)
	if !ok {
		e = &twirpError{http.StatusInternalServerError, "internal", err.Error()}
	}
	writeJSON(w, e.status, map[string]string{"code": e.code, "msg": e.msg})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"code":"internal","msg":"bug: no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that is gone needs no answer
}
