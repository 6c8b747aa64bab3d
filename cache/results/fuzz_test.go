// SPDX-License-Identifier: Apache-2.0

package results

import (
	"fmt"
	"mime"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzBlockList: what is read is written back and read the same, and only ids are in it.
func FuzzBlockList(f *testing.F) {
	f.Add(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?><BlockList><Latest>YQ==</Latest><Committed> YWI= </Committed></BlockList>`)
	f.Add(`<BlockList/>`)
	f.Add(`<BlockList><Uncommitted>YQ==</Uncommitted></BlockList><BlockList/>`)
	f.Add(`<!DOCTYPE x [<!ENTITY a "YQ==">]><BlockList><Latest>&a;</Latest></BlockList>`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseBlockList(strings.NewReader(text))
		if err != nil {
			return
		}
		var b strings.Builder
		b.WriteString("<BlockList>")
		for _, r := range list {
			if err := checkBlockID(r.id); err != nil {
				t.Fatal(err)
			}
			kind := []string{"Latest", "Committed", "Uncommitted"}[r.from]
			fmt.Fprintf(&b, "<%s>%s</%s>", kind, strings.ReplaceAll(r.id, "\n", "&#10;"), kind)
		}
		b.WriteString("</BlockList>")
		again, err := parseBlockList(strings.NewReader(b.String()))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(list) {
			t.Errorf("%q: %v, then %v, %v", text, list, again, err)
		}
	})
}

// FuzzName: a name that is taken is one file in the folder, its type a header, and its
// disposition is read back as the name.
func FuzzName(f *testing.F) {
	f.Add("a b", "application/zip")
	f.Add("../x", "text/plain; charset=\"a\r\nb\"")
	f.Add("é'\";", "zip")
	f.Fuzz(func(t *testing.T, name, kind string) {
		m := mediaType(kind)
		if strings.ContainsAny(m, "\r\n") || m == "" {
			t.Errorf("type %q of %q", m, kind)
		}
		if checkName(name) != nil {
			return
		}
		file := fileName(name, m)
		if !filepath.IsLocal(file) || filepath.Base(file) != file || len(file) > 255 || strings.HasPrefix(file, reserved) {
			t.Errorf("file %q of %q", file, name)
		}
		d := disposition(file)
		_, star, _ := strings.Cut(d, "UTF-8''")
		if back, err := url.PathUnescape(star); err != nil || back != file {
			t.Errorf("%q is read as %q, %v", d, back, err)
		}
		if _, _, err := mime.ParseMediaType(d); err != nil {
			t.Errorf("%q: %v", d, err)
		}
	})
}
