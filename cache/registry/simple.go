// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"path"
	"strings"

	nethtml "golang.org/x/net/html"

	"github.com/zviz/run/cache/store"
)

// The two forms of a page of a simple index (PEP 503, PEP 691). Only the JSON
// form has times (PEP 700).
const (
	PyPIJSON = "application/vnd.pypi.simple.v1+json"
	PyPIHTML = "text/html"
)

type simpleFile struct {
	Filename     string            `json:"filename"`
	URL          string            `json:"url"`
	Hashes       map[string]string `json:"hashes"`
	UploadTime   string            `json:"upload-time"`
	CoreMetadata json.RawMessage   `json:"core-metadata"`
	DistMetadata json.RawMessage   `json:"dist-info-metadata"`
	Requires     string            `json:"requires-python"`
	Yanked       json.RawMessage   `json:"yanked"`
}

// ParseSimpleJSON reads a page of PEP 691.
func ParseSimpleJSON(r io.Reader) (Package, error) {
	p := Package{Ecosystem: PyPI}
	d := json.NewDecoder(r)
	err := object(d, func(key string) error {
		switch key {
		case "name":
			return ignoreType(d.Decode(&p.Name))
		case "files":
			return array(d, func() error {
				raw, err := value(d)
				if err != nil {
					return err
				}
				f, err := parseSimpleFile(raw)
				if err != nil {
					return err
				}
				if len(p.Versions) == versionsMost {
					return ErrTooLarge
				}
				p.Versions = append(p.Versions, f.version())
				return nil
			})
		default:
			return skip(d)
		}
	})
	if err == nil {
		err = end(d)
	}
	if err != nil {
		return Package{}, parseError("simple index", err)
	}
	return p, nil
}

func parseSimpleFile(raw []byte) (simpleFile, error) {
	var f simpleFile
	return f, ignoreType(json.Unmarshal(raw, &f))
}

func (f simpleFile) version() Version {
	v := Version{URL: f.URL, Published: parseTime(f.UploadTime), Digests: hashes(f.Hashes)}
	_, v.Version, _ = PyPIFile(f.Filename)
	for _, raw := range []json.RawMessage{f.CoreMetadata, f.DistMetadata} {
		var m map[string]string
		if len(v.Metadata) == 0 && json.Unmarshal(raw, &m) == nil {
			v.Metadata = hashes(m)
		}
	}
	return v
}

func hashes(m map[string]string) []store.Digest {
	var all []store.Digest
	for _, a := range []string{store.SHA512, store.SHA384, store.SHA256} {
		if d, err := store.NewDigest(a, m[a]); err == nil {
			all = append(all, d)
		}
	}
	return all
}

// RewriteSimpleJSON copies a page without the files of the versions that hide
// names; a file that belongs to no version that we can tell is left out too once
// anything is hidden.
func RewriteSimpleJSON(w io.Writer, r io.Reader, hide map[string]bool) error {
	d := json.NewDecoder(r)
	out := newJSONWriter(w)
	out.open('{')
	err := object(d, func(key string) error {
		switch key {
		case "files", "versions":
			out.key(key)
			out.open('[')
			defer out.close(']')
			return array(d, func() error {
				raw, err := value(d)
				if err != nil || hidden(key, raw, hide) {
					return err
				}
				out.comma()
				out.raw(raw)
				return nil
			})
		default:
			raw, err := value(d)
			if err != nil {
				return err
			}
			out.key(key)
			out.raw(raw)
			return nil
		}
	})
	if err != nil {
		return parseError("simple index", err)
	}
	out.close('}')
	return out.flush()
}

func hidden(key string, raw []byte, hide map[string]bool) bool {
	if len(hide) == 0 {
		return false
	}
	if key == "versions" {
		var s string
		return json.Unmarshal(raw, &s) != nil || hide[s]
	}
	f, err := parseSimpleFile(raw)
	if err != nil {
		return true
	}
	v := f.version().Version
	return v == "" || hide[v]
}

// SimpleHTML writes a JSON page in the form of PEP 503, for clients that know no
// other.
func SimpleHTML(w io.Writer, r io.Reader) error {
	if _, err := io.WriteString(w, "<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.0\"></head><body>\n"); err != nil {
		return err
	}
	d := json.NewDecoder(r)
	err := object(d, func(key string) error {
		if key != "files" {
			return skip(d)
		}
		return array(d, func() error {
			raw, err := value(d)
			if err != nil {
				return err
			}
			f, err := parseSimpleFile(raw)
			if err != nil {
				return err
			}
			return f.anchor(w)
		})
	})
	if err != nil {
		return parseError("simple index", err)
	}
	_, err = io.WriteString(w, "</body></html>\n")
	return err
}

func (f simpleFile) anchor(w io.Writer) error {
	u, err := url.Parse(f.URL)
	if err != nil || u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" {
		return nil //nolint:nilerr // no link that a client could follow
	}
	u.Fragment = ""
	if v := f.version(); len(v.Digests) > 0 {
		best := v.Digests[len(v.Digests)-1] // sha256, which all know
		u.Fragment = best.Algorithm() + "=" + best.Value()
	}
	attributes := ""
	if f.Requires != "" {
		attributes += fmt.Sprintf(` data-requires-python="%s"`, html.EscapeString(f.Requires))
	}
	if len(f.Yanked) > 0 && string(f.Yanked) != "false" && string(f.Yanked) != "null" {
		var why string
		_ = json.Unmarshal(f.Yanked, &why) // true has no reason
		attributes += fmt.Sprintf(` data-yanked="%s"`, html.EscapeString(why))
	}
	_, err = fmt.Fprintf(w, "<a href=\"%s\"%s>%s</a><br>\n", html.EscapeString(u.String()), attributes, html.EscapeString(f.Filename))
	return err
}

// ParseSimpleHTML reads a page of PEP 503. It has no times.
func ParseSimpleHTML(r io.Reader) (Package, error) {
	p := Package{Ecosystem: PyPI}
	z := nethtml.NewTokenizer(r)
	z.SetMaxBuf(1 << 20)
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return Package{}, parseError("simple index", err)
			}
			return p, nil
		case nethtml.StartTagToken:
			t := z.Token()
			if t.Data != "a" {
				continue
			}
			if len(p.Versions) == versionsMost {
				return Package{}, parseError("simple index", ErrTooLarge)
			}
			if v, ok := htmlVersion(t.Attr); ok {
				p.Versions = append(p.Versions, v)
			}
		default:
		}
	}
}

func htmlVersion(attributes []nethtml.Attribute) (Version, bool) {
	var v Version
	for _, a := range attributes {
		switch a.Key {
		case "href":
			u, err := url.Parse(a.Val)
			if err != nil {
				return Version{}, false
			}
			algorithm, value, _ := strings.Cut(u.Fragment, "=")
			v.Digests = hashes(map[string]string{algorithm: value})
			u.Fragment = ""
			v.URL = u.String()
			_, v.Version, _ = PyPIFile(path.Base(u.Path))
		case "data-core-metadata", "data-dist-info-metadata":
			algorithm, value, _ := strings.Cut(a.Val, "=")
			if d := hashes(map[string]string{algorithm: value}); len(d) > 0 {
				v.Metadata = d
			}
		}
	}
	return v, v.Version != ""
}

// RewriteSimpleHTML makes a page of PEP 503 of the files of another one, without those of
// the versions that hide names, or of none that we can tell.
func RewriteSimpleHTML(w io.Writer, r io.Reader, hide map[string]bool) error {
	out := bufio.NewWriter(w)
	write := func(s string) { _, _ = out.WriteString(s) } // Flush tells of its errors
	write("<!DOCTYPE html>\n<html><head></head><body>\n")
	z := nethtml.NewTokenizer(r)
	z.SetMaxBuf(1 << 20)
	inside := false
	end := func() {
		if inside {
			write("</a><br>\n")
		}
		inside = false
	}
	for {
		switch kind := z.Next(); kind {
		case nethtml.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return parseError("simple index", err)
			}
			end()
			write("</body></html>\n")
			return out.Flush()
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			switch t := z.Token(); t.Data {
			case "base": // what links are relative to
				write(t.String() + "\n")
			case "a":
				end()
				if v, ok := htmlVersion(t.Attr); ok && !hide[v.Version] && kind == nethtml.StartTagToken {
					inside = true
					write(t.String())
				}
			}
		case nethtml.EndTagToken:
			if t := z.Token(); t.Data == "a" {
				end()
			}
		case nethtml.TextToken:
			if inside {
				write(html.EscapeString(z.Token().Data))
			}
		default:
		}
	}
}
