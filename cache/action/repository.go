// SPDX-License-Identifier: Apache-2.0

package action

import (
	"path"
	"strings"
)

// Repository names a repository of the forge. Both parts ignore case.
type Repository struct{ Owner, Name string }

func (r Repository) String() string { return r.Owner + "/" + r.Name }

// validate refuses what would be a path or an option.
func (r Repository) validate() error {
	for _, part := range []string{r.Owner, r.Name} {
		bad := strings.ContainsFunc(part, func(c rune) bool {
			return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.'
		})
		if bad || part == "" || part == "." || part == ".." || part[0] == '-' || len(part) > 200 {
			return refuse("%q is not the name of a repository", clip(r.String()))
		}
	}
	return nil
}

// folder is where a repository's part of a tree of folders is.
func (r Repository) folder() string {
	return path.Join(strings.ToLower(r.Owner), strings.ToLower(r.Name))
}

// fullCommit knows the ids of SHA-1 and SHA-256 in lower case.
func fullCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// validRef knows what git check-ref-format(1) forbids, and what would be an option.
func validRef(s string) bool {
	if s == "" || len(s) > 1024 || s[0] == '-' || s[0] == '/' || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "/") {
		return false
	}
	control := strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
	return !control && !strings.ContainsAny(s, `~^:?*[\`) && !strings.Contains(s, "..") && !strings.Contains(s, "@{") && !strings.Contains(s, "//")
}
