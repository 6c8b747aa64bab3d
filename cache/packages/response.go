// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/zviz/run/cache/registry"
)

// respond makes a response. A size below 0 is not known.
func respond(r *http.Request, status int, header http.Header, body io.ReadCloser, size int64) *http.Response {
	if body == nil {
		body = http.NoBody
	}
	if r.Method == http.MethodHead {
		_ = body.Close()
		body = http.NoBody
	}
	if size >= 0 {
		header.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: body, ContentLength: size, Request: r,
	}
}

// refusal is an answer of ours. npm shows the field "error" of a JSON body; the
// go command and apt show a text.
func refusal(r *http.Request, e registry.Ecosystem, status int, reason, detail string) *http.Response {
	text := "zviz: " + detail + "\n"
	header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"}}
	header.Set("X-Zviz-Reason", reason)
	if e == registry.NPM {
		if b, err := json.Marshal(map[string]string{"error": strings.TrimSpace(text)}); err == nil {
			text = string(b) + "\n"
			header.Set("Content-Type", "application/json")
		}
	}
	return respond(r, status, header, io.NopCloser(strings.NewReader(text)), int64(len(text)))
}

// content answers with a file that can be read at any place, or with a part of
// it. It takes the file over.
func content(r *http.Request, header http.Header, f io.ReadSeekCloser, size int64) (*http.Response, error) {
	if match := r.Header.Get("If-None-Match"); match != "" && matches(match, header.Get("Etag")) {
		_ = f.Close()
		return respond(r, http.StatusNotModified, header, nil, 0), nil
	}
	header.Set("Accept-Ranges", "bytes")
	if from, to, ok := oneRange(r, size); ok {
		if _, err := f.Seek(from, io.SeekStart); err != nil {
			_ = f.Close()
			return nil, err
		}
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, size))
		part := struct {
			io.Reader
			io.Closer
		}{io.LimitReader(f, to-from), f}
		return respond(r, http.StatusPartialContent, header, part, to-from), nil
	}
	return respond(r, http.StatusOK, header, f, size), nil
}

func matches(list, etag string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimPrefix(strings.TrimSpace(item), "W/"); item == "*" || etag != "" && item == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

// oneRange reads "bytes=FROM-[TO]". A range that we do not serve is answered with
// the whole (RFC 9110, section 14.2).
func oneRange(r *http.Request, size int64) (from, to int64, ok bool) {
	spec, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	a, b, dash := strings.Cut(spec, "-")
	if !ok || !dash || r.Header.Get("If-Range") != "" {
		return 0, 0, false
	}
	from, err := strconv.ParseInt(a, 10, 64)
	if err != nil || from < 0 || from >= size {
		return 0, 0, false
	}
	to = size
	if b != "" {
		last, err := strconv.ParseInt(b, 10, 64)
		if err != nil || last < from {
			return 0, 0, false
		}
		to = min(last+1, size)
	}
	return from, to, true
}

// accepts reports whether a client says that it reads a media type.
func accepts(r *http.Request, media string) bool {
	for _, v := range r.Header.Values("Accept") {
		for item := range strings.SplitSeq(v, ",") {
			name, params, _ := strings.Cut(item, ";")
			if strings.TrimSpace(name) == media && !strings.Contains(strings.ReplaceAll(params, " ", "")+";", "q=0;") {
				return true
			}
		}
	}
	return false
}
