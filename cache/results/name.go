// SPDX-License-Identifier: Apache-2.0

package results

import (
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	longestName = 200 // bytes; a file name has 255, and gets an ending
	zipType     = "application/zip"
)

// checkName refuses what GitHub's clients refuse
// (path-and-artifact-name-validation.ts), and what would be no name of a file.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the artifact has no name")
	case len(name) > longestName:
		return fmt.Errorf("the name of the artifact has %d bytes, at most %d can be", len(name), longestName)
	case !utf8.ValidString(name):
		return errors.New("the name of the artifact is no UTF-8")
	case name == "." || name == "..":
		return errors.New("the name of the artifact is one of a directory")
	case strings.HasPrefix(name, reserved):
		return errors.New("names that begin with " + reserved + " are the runner's own")
	case strings.ContainsAny(name, `":<>|*?\/`), strings.ContainsFunc(name, unicode.IsControl):
		return errors.New(`the name of the artifact has a control character or one of " : < > | * ? \ /`)
	}
	return nil
}

// mediaType returns a media type in a form that can stand in a header. Clients of
// version 2 and 3 of the library name none, or "zip".
func mediaType(s string) string {
	if s == "" || s == "zip" {
		return zipType
	}
	if len(s) > 128 {
		return "application/octet-stream"
	}
	t, params, err := mime.ParseMediaType(s)
	if err != nil || !strings.Contains(t, "/") {
		return "application/octet-stream"
	}
	return mime.FormatMediaType(t, params)
}

// isZip reports whether a client would take a file of that type for an archive
// (download-artifact.ts).
func isZip(mediaType string) bool {
	t, _, _ := strings.Cut(mediaType, ";")
	switch t {
	case zipType, "application/x-zip-compressed", "application/zip-compressed":
		return true
	}
	return false
}

// fileName is the name that an artifact gets in the folder if it is free.
func fileName(name, mediaType string) string {
	if isZip(mediaType) && !strings.HasSuffix(strings.ToLower(name), ".zip") {
		return name + ".zip"
	}
	return name
}

// freeName returns a name for an artifact that no other one of this run has, and no
// file that is not ours. An artifact "a" and a file "a.zip" would have the same. The
// caller holds mu.
func (r *Run) freeName(name, mediaType string) (string, error) {
	wanted := fileName(name, mediaType)
	ext := path.Ext(wanted)
	for n := 1; n <= artifactsMost+1; n++ {
		file := wanted
		if n > 1 {
			file = strings.TrimSuffix(wanted, ext) + "-" + strconv.Itoa(n) + ext
		}
		if r.fileTaken(file) {
			continue
		}
		if _, err := r.root.Lstat(file); errors.Is(err, fs.ErrNotExist) || err == nil && r.manifest.has(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("no name is free for %q", wanted)
}

func (r *Run) fileTaken(file string) bool {
	for _, a := range r.artifacts {
		if a.File == file {
			return true
		}
	}
	return false
}
