// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"net/url"

	"github.com/zviz/run/cache/store"
)

func (p *Pool) learnApt(*transport, string, *document) {}

func (p *Pool) aptDigest(*transport, *url.URL, string) (store.Digest, bool) { return "", false }
