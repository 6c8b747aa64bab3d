// SPDX-License-Identifier: Apache-2.0

package results

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// What an address is for.
const (
	toWrite = "w"
	toRead  = "r"
)

const (
	// blobPrefix is followed by an id and a name: Azure's client wants two segments at
	// least.
	blobPrefix = "/blob/"

	uploadLife   = 6 * time.Hour // of a large one over a slow disk
	downloadLife = time.Hour
)

// address is where one blob can be written or read for a time. The client masks the
// parameter sig, under that name only (maskSecretUrls in util.ts).
func (j *Job) address(base, how, id string, until time.Time) string {
	exp := strconv.FormatInt(until.Unix(), 10)
	q := url.Values{"se": {exp}, "sig": {j.sign(how, id, exp)}}
	return base + blobPrefix + id + "/data?" + q.Encode()
}

func (j *Job) sign(how, id, exp string) string {
	mac := hmac.New(sha256.New, j.run.key)
	// No part holds a line break.
	mac.Write([]byte(strings.Join([]string{"blob", j.id, how, id, exp}, "\n")))
	return hex.EncodeToString(mac.Sum(nil))
}

// signed returns the blob that a request may read or write; empty if it may not.
func (j *Job) signed(r *http.Request) (how, id string) {
	how = toWrite
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		how = toRead
	}
	q := r.URL.Query()
	id, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, blobPrefix), "/")
	exp, err := strconv.ParseInt(q.Get("se"), 10, 64)
	switch {
	case err != nil, name != "data", !j.live():
		return "", ""
	case !hmac.Equal([]byte(q.Get("sig")), []byte(j.sign(how, id, strconv.FormatInt(exp, 10)))):
		return "", ""
	case time.Now().Unix() >= exp:
		return "", ""
	}
	return how, id
}
