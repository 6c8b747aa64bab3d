// SPDX-License-Identifier: Apache-2.0

package results

import (
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// drainMost is how much of a refused upload is read, so that the client sees the answer
// and does not take a reset for a network that fails, which it would try again.
const drainMost = 64 << 20

// blob serves an address, as Azure's Blob service does where its clients look.
func (j *Job) blob(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Ms-Request-Id", rand.Text()) // some clients fail without
	h.Set("X-Ms-Version", "2025-05-05")
	how, id := j.signed(r)
	switch {
	case how == toRead:
		j.download(w, r, id)
	case how == toWrite && r.Method == http.MethodPut:
		j.upload(w, r, id)
	case how == toWrite:
		blobError(w, http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "a blob is put or got")
	default:
		drain(r)
		blobError(w, http.StatusForbidden, "AuthenticationFailed", "the address is not good, not any more, or not for this")
	}
}

// upload takes a block, a list of blocks, or a blob.
func (j *Job) upload(w http.ResponseWriter, r *http.Request, id string) {
	j.run.mu.Lock()
	u := j.run.uploads[id]
	j.run.mu.Unlock()
	q := r.URL.Query()
	kind := r.Header.Get("X-Ms-Blob-Type")
	var err error
	switch comp := q.Get("comp"); {
	case u == nil || u.job != j:
		err = errGone
	case r.ContentLength < 0:
		blobError(w, http.StatusLengthRequired, "MissingContentLengthHeader", "uploads need a Content-Length")
		return
	case comp == "block":
		if err = checkBlockID(q.Get("blockid")); err != nil {
			drain(r)
			blobError(w, http.StatusBadRequest, "InvalidQueryParameterValue", err.Error())
			return
		}
		err = u.put(q.Get("blockid"), r.ContentLength, r.Body)
	case comp == "blocklist":
		err = j.putBlockList(w, r, u)
	case comp == "" && (kind == "" || kind == "BlockBlob"):
		err = u.putBlob(r.ContentLength, r.Body, typeOf(r))
	default:
		drain(r)
		blobError(w, http.StatusBadRequest, "InvalidQueryParameterValue", "only block blobs are served: comp is block, blocklist or nothing")
		return
	}
	if err != nil {
		drain(r)
		putError(w, err)
		return
	}
	w.Header().Set("ETag", `"`+rand.Text()+`"`)
	w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	w.WriteHeader(http.StatusCreated)
}

// listError says that a list of blocks cannot be read.
type listError struct{ error }

func (j *Job) putBlockList(w http.ResponseWriter, r *http.Request, u *upload) error {
	select {
	case j.run.commits <- struct{}{}:
		defer func() { <-j.run.commits }()
	case <-r.Context().Done():
		return errGone
	}
	list, err := parseBlockList(http.MaxBytesReader(w, r.Body, blockListMost))
	if err != nil {
		return listError{err}
	}
	return u.commit(list, typeOf(r))
}

// typeOf is the media type that an upload names; empty if it names none.
func typeOf(r *http.Request) string {
	if t := r.Header.Get("X-Ms-Blob-Content-Type"); t != "" {
		return mediaType(t)
	}
	return ""
}

func drain(r *http.Request) { _, _ = io.CopyN(io.Discard, r.Body, drainMost) }

// putError answers an upload that failed. Clients try 5xx again.
func putError(w http.ResponseWriter, err error) {
	var list listError
	switch {
	case errors.Is(err, errBlockList):
		blobError(w, http.StatusBadRequest, "InvalidBlockList", err.Error())
	case errors.As(err, &list):
		blobError(w, http.StatusBadRequest, "InvalidXmlDocument", err.Error())
	case errors.Is(err, errGone):
		blobError(w, http.StatusNotFound, "BlobNotFound", err.Error())
	case errors.Is(err, errTooMuch):
		blobError(w, http.StatusForbidden, "QuotaExceeded", err.Error())
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		blobError(w, http.StatusForbidden, "QuotaExceeded", "not stored: the disk is full")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		blobError(w, http.StatusBadRequest, "IncompleteBody", "the upload ended before its Content-Length")
	default:
		blobError(w, http.StatusInternalServerError, "InternalError", pathless(err).Error())
	}
}

// download sends an artifact.
func (j *Job) download(w http.ResponseWriter, r *http.Request, id string) {
	n, _ := strconv.ParseInt(id, 10, 64)
	var a *artifact
	j.run.mu.Lock()
	for _, o := range j.run.artifacts {
		if o.id == n {
			a = o
		}
	}
	j.run.mu.Unlock()
	if a == nil {
		blobError(w, http.StatusNotFound, "BlobNotFound", "the artifact was deleted")
		return
	}
	f, err := j.run.root.OpenFile(a.File, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		blobError(w, http.StatusNotFound, "BlobNotFound", "the file of the artifact cannot be opened")
		return
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !same(info, a.info) {
		blobError(w, http.StatusNotFound, "BlobNotFound", "the file of the artifact was changed since it was uploaded")
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.Type)
	h.Set("Content-Disposition", disposition(fileName(a.Name, a.Type)))
	h.Set("ETag", `"`+strings.TrimPrefix(a.Digest, digestPrefix)+`"`)
	h.Set("X-Ms-Blob-Type", "BlockBlob")
	h.Set("X-Content-Type-Options", "nosniff")
	if v := r.Header.Get("X-Ms-Range"); v != "" && r.Header.Get("Range") == "" {
		r.Header.Set("Range", v)
	}
	http.ServeContent(w, r, "", a.info.ModTime(), f)
}

// disposition names a file. Clients prefer the second form; the first would end at a
// quote or semicolon (download-artifact.ts).
func disposition(name string) string {
	plain, full := make([]byte, 0, len(name)), make([]byte, 0, 3*len(name))
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			plain, full = append(plain, c), append(full, c)
			continue
		}
		plain, full = append(plain, '_'), fmt.Appendf(full, "%%%02X", c)
	}
	return fmt.Sprintf(`attachment; filename="%s"; filename*=UTF-8''%s`, plain, full)
}

// blobError answers in the form of Azure's errors.
func blobError(w http.ResponseWriter, status int, code, msg string) {
	var text strings.Builder
	_ = xml.EscapeText(&text, []byte(msg)) // a Builder does not fail
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Ms-Error-Code", code)
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="utf-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, text.String())
}
