// SPDX-License-Identifier: Apache-2.0

package registry

import "strings"

// classifyDebian knows an archive's lists ("dists/…", among them those by hash)
// and its packages, in "pool/…" or anywhere else.
func classifyDebian(seg []string) Request {
	for _, s := range seg {
		if !only(s, "._+~:@-") {
			return Request{}
		}
	}
	path := strings.Join(seg, "/")
	last := seg[len(seg)-1]
	if stem, deb := strings.CutSuffix(last, ".deb"); deb {
		parts := strings.Split(stem, "_")
		if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
			return Request{}
		}
		return Request{Kind: File, Name: parts[0], Version: parts[1], File: last, path: path} // without its epoch
	}
	if len(seg) >= 4 && seg[len(seg)-3] == "by-hash" {
		return Request{Kind: File, File: seg[len(seg)-2] + ":" + last, path: path}
	}
	switch plain, _, _ := strings.Cut(last, "."); {
	case seg[0] == "dists" || plain == "InRelease" || plain == "Release" || plain == "Packages":
		return Request{Kind: Release, File: last, path: path}
	}
	return Request{}
}
