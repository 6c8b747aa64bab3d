// SPDX-License-Identifier: Apache-2.0

package results

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// newToken makes a token in the form of GitHub's. Clients read the ids of run and job
// from scp (getBackendIdsFromToken in util.ts); nobody here reads anything from it.
func newToken(run, job string, until time.Time, key []byte) string {
	part := func(v any) string {
		b, _ := json.Marshal(v) // texts and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now()
	head := part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + part(map[string]any{
		"scp": "Actions.Results:" + run + ":" + job,
		"iss": "zviz-runner", "jti": rand.Text(),
		"nbf": now.Unix(), "iat": now.Unix(), "exp": until.Unix(),
	})
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("token\n" + head))
	return head + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
