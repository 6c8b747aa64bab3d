// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/cache/store"
)

var now = time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)

// packument makes one with versions that are the given days old.
func packument(name, latest string, ages map[string]int) []byte {
	versions, times := map[string]any{}, map[string]string{"modified": now.Format(time.RFC3339), "created": now.Format(time.RFC3339)}
	for v, days := range ages {
		versions[v] = map[string]any{
			"name": name, "version": v, "readme": "long", "scripts": map[string]string{"postinstall": "x"}, "dependencies": map[string]string{"a": "1"},
			"dist": map[string]string{
				"integrity": "sha512-" + strings.Repeat("A", 86) + "==", "shasum": strings.Repeat("0", 40),
				"tarball": "https://r.test/npm/" + name + "/-/" + lastWord(name) + "-" + v + ".tgz",
			},
		}
		times[v] = now.AddDate(0, 0, -days).Format("2006-01-02T15:04:05.000Z07:00")
	}
	b, err := json.Marshal(map[string]any{
		"_id": name, "name": name, "dist-tags": map[string]string{"latest": latest, "old": "0.9.0", "next": "3.0.0-rc.2"},
		"versions": versions, "time": times, "readme": strings.Repeat("x", 1000),
	})
	if err != nil {
		panic(err)
	}
	return b
}

func TestPackumentCooldown(t *testing.T) {
	ages := map[string]int{"0.9.0": 900, "1.0.0": 400, "1.1.0": 10, "2.0.0": 100, "1.2.0": 1, "3.0.0-rc.1": 50, "3.0.0-rc.2": 2}
	doc := packument("@a/b", "1.2.0", ages)
	p, err := ParsePackument(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "@a/b" || len(p.Versions) != len(ages) {
		t.Fatalf("%+v", p)
	}
	for _, v := range p.Versions {
		if len(v.Digests) != 1 || v.Digests[0].Algorithm() != store.SHA512 || v.Published.IsZero() {
			t.Errorf("%+v", v)
		}
	}
	rules := Rules{MinReleaseAge: 7 * 24 * time.Hour}
	hide := rules.Hide(now, p, "@a/b")
	if diff := cmp.Diff(map[string]string{"1.2.0": ReasonAge, "3.0.0-rc.2": ReasonAge}, hide); diff != "" {
		t.Error(diff)
	}
	set := map[string]bool{}
	for v := range hide {
		set[v] = true
	}
	tags := RetagNPM(p, set)
	// Not 2.0.0, which is newer than what the publisher calls latest.
	if diff := cmp.Diff(map[string]string{"latest": "1.1.0", "old": "0.9.0", "next": "3.0.0-rc.1"}, tags); diff != "" {
		t.Error(diff)
	}
	for _, short := range []bool{false, true} {
		var out bytes.Buffer
		if err := RewritePackument(&out, bytes.NewReader(doc), set, tags, short); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "1.2.0") || strings.Contains(out.String(), "rc.2") {
			t.Errorf("short=%v: a hidden version is still in %s", short, &out)
		}
		q, err := ParsePackument(&out)
		if err != nil {
			t.Fatalf("short=%v: %v", short, err)
		}
		if len(q.Versions) != len(ages)-2 || q.Tags["latest"] != "1.1.0" || q.Versions[0].Published.IsZero() != short {
			t.Errorf("short=%v: %+v", short, q)
		}
	}
	var out bytes.Buffer
	if err := RewritePackument(&out, bytes.NewReader(doc), nil, p.Tags, true); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Contains(s, "readme") || !strings.Contains(s, `"hasInstallScript":true`) || !strings.Contains(s, `"dependencies"`) {
		t.Errorf("short form: %s", s)
	}
	if d := (Rules{MinReleaseAge: time.Hour, Exclude: []string{"@a/*"}}).Hide(now, p, "@a/b"); len(d) != 0 {
		t.Errorf("excluded, yet hidden: %v", d)
	}
}

// With nothing left below, latest goes to another release rather than nowhere.
func TestRetagLatest(t *testing.T) {
	for _, tt := range []struct {
		hide []string
		want string
	}{
		{[]string{"1.2.0", "1.0.0"}, "2.0.0"},
		{[]string{"1.2.0", "1.0.0", "2.0.0"}, "3.0.0-rc.2"},
		{[]string{"1.2.0", "1.0.0", "2.0.0", "3.0.0-rc.2"}, ""},
	} {
		p, err := ParsePackument(bytes.NewReader(packument("x", "1.2.0", map[string]int{"1.0.0": 1, "1.2.0": 1, "2.0.0": 1, "3.0.0-rc.2": 1})))
		if err != nil {
			t.Fatal(err)
		}
		hide := map[string]bool{}
		for _, v := range tt.hide {
			hide[v] = true
		}
		if got := RetagNPM(p, hide)["latest"]; got != tt.want {
			t.Errorf("%v: latest %q, want %q", tt.hide, got, tt.want)
		}
	}
}

// What has no time is too young: else a registry that leaves it out, or the
// abbreviated form, would lift the rule.
func TestNoTimeIsTooYoung(t *testing.T) {
	p, err := ParsePackument(strings.NewReader(`{"name":"x","versions":{"1.0.0":{"dist":{"shasum":"` + strings.Repeat("a", 40) + `"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := p.Versions[0].Digests; len(d) != 1 || !d[0].Weak() {
		t.Errorf("digests %v", d)
	}
	if d := (Rules{MinReleaseAge: time.Hour}).Judge(now, NPM, "x", p.Versions[0]); d.Reason != ReasonAge {
		t.Errorf("%+v", d)
	}
	if d := (Rules{MinReleaseAge: time.Hour}).Judge(now, NPM, "x", Version{Version: "1.0.0", Published: now.Add(time.Hour)}); d.Reason != ReasonAge {
		t.Errorf("from the future: %+v", d)
	}
}

func TestBlocked(t *testing.T) {
	for _, tt := range []struct {
		item, name, version string
		want                bool
	}{
		{"evil", "evil", "1.0.0", true},
		{"evil", "evil2", "1.0.0", false},
		{"@evil/*", "@evil/x", "1.0.0", true},
		{"axios@1.14.1", "axios", "1.14.1", true},
		{"axios@1.14.1", "axios", "1.14.10", false},
		{"axios@>=1.14.1 <1.14.3", "axios", "1.14.2", true},
		{"axios@>=1.14.1 <1.14.3", "axios", "1.14.3", false},
		{"axios@>=1.14.1 <1.14.3", "axios", "1.14.2-rc.1", true},
		{"axios@1.x || 3.x", "axios", "3.2.1", true},
		{"axios@1.x || 3.x", "axios", "2.2.1", false},
		{"axios@1.x", "axios", "no version", true},
		{"@a/b@1.0.0", "@a/b", "1.0.0", true},
		{"golang.org/x/net@v0.1.0", "golang.org/x/net", "v0.1.0", true},
		{"curl@7.88.1-10+deb12u5", "curl", "7.88.1-10+deb12u5", true},
	} {
		b, err := ParseBlocked(tt.item)
		if err != nil {
			t.Errorf("%s: %v", tt.item, err)
			continue
		}
		if got := b.Match(NPM, tt.name, tt.version); got != tt.want {
			t.Errorf("%s matches %s@%s: %v", tt.item, tt.name, tt.version, got)
		}
	}
	for _, bad := range []string{"", "x@", "x y", "x@>=", "x@>>1", "x@^1.2.0", "x@~1.2.0"} {
		if b, err := ParseBlocked(bad); err == nil {
			t.Errorf("%q became %+v", bad, b)
		}
	}
}

const simpleDoc = `{"meta":{"api-version":"1.1"},"name":"six","versions":["1.0","1.1"],"files":[
{"filename":"six-1.0.tar.gz","url":"https://f.test/a/six-1.0.tar.gz","hashes":{"sha256":"` + hex64 + `"},"upload-time":"2020-01-01T00:00:00.123456Z","yanked":false},
{"filename":"six-1.1-py3-none-any.whl","url":"../f/six-1.1-py3-none-any.whl","hashes":{"sha256":"` + hex64 + `"},"upload-time":"2026-06-29T00:00:00Z","core-metadata":{"sha256":"` + hex64 + `"},"requires-python":">=3.8","yanked":"bad \"one\""},
{"filename":"six-nonsense","url":"x","hashes":{}}]}`

const hex64 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestSimple(t *testing.T) {
	p, err := ParseSimpleJSON(strings.NewReader(simpleDoc))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Versions) != 3 || p.Versions[1].Metadata[0] != "sha256:"+hex64 || p.Versions[0].Published.Year() != 2020 {
		t.Fatalf("%+v", p)
	}
	hide := (Rules{MinReleaseAge: 48 * time.Hour}).Hide(now, p, "six")
	set := map[string]bool{}
	for v := range hide {
		set[v] = true
	}
	var out bytes.Buffer
	if err := RewriteSimpleJSON(&out, strings.NewReader(simpleDoc), set); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Versions []string
		Files    []struct{ Filename string }
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(doc.Versions, []string{"1.0"}) || len(doc.Files) != 1 || doc.Files[0].Filename != "six-1.0.tar.gz" {
		t.Errorf("%+v", doc)
	}
	var page bytes.Buffer
	if err := SimpleHTML(&page, strings.NewReader(simpleDoc)); err != nil {
		t.Fatal(err)
	}
	q, err := ParseSimpleHTML(strings.NewReader(page.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Versions) != 2 || q.Versions[0].URL != p.Versions[0].URL || !slices.Equal(q.Versions[1].Digests, p.Versions[1].Digests) {
		t.Errorf("by way of HTML: %+v\n%s", q, &page)
	}
	if !strings.Contains(page.String(), `data-yanked="bad &#34;one&#34;"`) || !strings.Contains(page.String(), `data-requires-python="&gt;=3.8"`) {
		t.Error(page.String())
	}
	if v, ok := p.File(Classify(PyPI, "a/six-1.0.tar.gz")); !ok || v.Version != "1.0" {
		t.Errorf("%+v", v)
	}
}

func TestRewriteSimpleHTML(t *testing.T) {
	const page = `<html><head><base href="../x/"><title>Links</title></head><body><h1>Links</h1>
<a href="six-1.0.tar.gz#sha256=aa" data-requires-python="&gt;=3.8">six &amp; 1.0</a><a href="six-1.1.tar.gz">six 1.1
<A HREF="six-1.0-py3-none-any.whl">w</A><a href="six-1.1-py3-none-any.whl"/><a href="other">o</a><a>n</a></body></html>`
	const want = `<!DOCTYPE html>
<html><head></head><body>
<base href="../x/">
<a href="six-1.0.tar.gz#sha256=aa" data-requires-python="&gt;=3.8">six &amp; 1.0</a><br>
<a href="six-1.0-py3-none-any.whl">w</a><br>
</body></html>
`
	var out strings.Builder
	if err := RewriteSimpleHTML(&out, strings.NewReader(page), map[string]bool{"1.1": true}); err != nil || out.String() != want {
		t.Errorf("%v: %s", err, out.String())
	}
	cut := Bound(strings.NewReader(page), 100)
	if err := RewriteSimpleHTML(io.Discard, cut, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a page that was cut: %v", err)
	}
}

func TestCrate(t *testing.T) {
	doc := `{"name":"x","vers":"1.0.0","deps":[],"cksum":"` + hex64 + `","yanked":false}` + "\n" +
		`{"name":"x","vers":"1.1.0","deps":[],"cksum":"` + hex64 + `","pubtime":"2026-06-29T12:00:00Z"}` + "\n"
	p, err := ParseCrate(strings.NewReader(doc))
	if err != nil || len(p.Versions) != 2 || p.Versions[0].Digests[0] != "sha256:"+hex64 {
		t.Fatalf("%+v, %v", p, err)
	}
	hide := (Rules{MinReleaseAge: 48 * time.Hour}).Hide(now, p, "x")
	if diff := cmp.Diff(map[string]string{"1.1.0": ReasonAge}, hide); diff != "" {
		t.Error(diff)
	}
	var out bytes.Buffer
	if err := RewriteCrate(&out, strings.NewReader(doc), map[string]bool{"1.1.0": true}); err != nil || out.String() != doc[:strings.IndexByte(doc, '\n')+1] {
		t.Errorf("%q, %v", &out, err)
	}
}

func TestGoDocuments(t *testing.T) {
	list, err := ParseGoList(strings.NewReader("v1.0.0\nv1.10.0\nv1.2.0\nnonsense\n\n"))
	if err != nil || !slices.Equal(list, []string{"v1.10.0", "v1.2.0", "v1.0.0"}) {
		t.Errorf("%v, %v", list, err)
	}
	v, err := ParseGoInfo(strings.NewReader(`{"Version":"v1.0.0","Time":"2026-06-29T12:00:00Z"}`))
	if err != nil || v.Time.IsZero() {
		t.Errorf("%+v, %v", v, err)
	}
	sum := strings.Repeat("A", 43) + "="
	zip, mod, err := GoSums(strings.NewReader("12345\na.b/c v1.0.0 h1:"+sum+"\na.b/c v1.0.0/go.mod h1:"+sum+"\n\ngo.sum database tree\n"), "a.b/c", "v1.0.0")
	if err != nil || zip != store.Digest("h1:"+sum) || mod != store.Digest("h1mod:"+sum) {
		t.Errorf("%s %s %v", zip, mod, err)
	}
}

func TestApt(t *testing.T) {
	var got []AptFile
	err := ParseAptPackages(strings.NewReader("Package: a\nFilename: pool/a_1_all.deb\nSHA256: "+hex64+"\nDescription: x\n Filename: evil\n\nPackage: b\nFilename: ../b\nSHA256: "+hex64+"\n"), func(f AptFile) { got = append(got, f) })
	if err != nil || len(got) != 1 || got[0].Path != "pool/a_1_all.deb" {
		t.Errorf("%+v, %v", got, err)
	}
	lists, err := ParseAptRelease(strings.NewReader("Suite: x\nMD5Sum:\n abc 1 main/x\nSHA256:\n " + hex64 + " 12 main/binary-amd64/Packages.gz\nOther: y\n"))
	if err != nil || len(lists) != 1 || lists[0].Path != "main/binary-amd64/Packages.gz" {
		t.Errorf("%+v, %v", lists, err)
	}
}

// A document of any size ends at its bound with an error, never as if it were
// whole, and takes no more memory than one version of it.
func TestBound(t *testing.T) {
	if _, err := io.ReadAll(Bound(strings.NewReader("12345"), 5)); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(Bound(strings.NewReader("123456"), 5)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	for field, member := range map[string]string{
		"versions":  `,"1.0.%d":{"x":"` + strings.Repeat("y", 1000) + `"}`,
		"time":      `,"1.0.%d":"2026-01-01T00:00:00Z"`,
		"dist-tags": `,"tag%d":"1.0.0"`,
	} {
		r, w := io.Pipe()
		go func() {
			fmt.Fprintf(w, `{"name":"x","%s":{"1.0.0":{}`, field)
			b := bufio.NewWriter(w)
			for i := range 500_000 {
				if _, err := fmt.Fprintf(b, member, i); err != nil {
					return
				}
			}
			fmt.Fprint(b, `}}`)
			_ = b.Flush() // the reader may have left
			w.Close()
		}()
		_, err := ParsePackument(Bound(r, 32<<20))
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", field, err)
		}
		r.Close()
	}
}

// A version that is hidden is nowhere in what the client reads, whatever the
// document looks like, and what is written can be read again.
func FuzzRewritePackument(f *testing.F) {
	f.Add(packument("a", "1.0.0", map[string]int{"1.0.0": 1, "0.9.0": 30}), true)
	f.Add([]byte(`{"versions":{"1.0.0":{}},"versions":{"1.0.0":{"a":[{}]}},"time":{"1.0.0":"x"},"dist-tags":{"latest":"1.0.0"}}`), false)
	f.Add([]byte(`{"dist-tags":[],"versions":{"1":null}}`), true)
	f.Fuzz(func(t *testing.T, doc []byte, short bool) {
		p, err := ParsePackument(bytes.NewReader(doc))
		if err != nil {
			return
		}
		set := map[string]bool{}
		for v := range (Rules{MinReleaseAge: 7 * 24 * time.Hour}).Hide(now, p, "a") {
			set[v] = true
		}
		var out bytes.Buffer
		if err := RewritePackument(&out, bytes.NewReader(doc), set, RetagNPM(p, set), short); err != nil {
			return
		}
		var got struct {
			Versions map[string]any
			Tags     map[string]any `json:"dist-tags"`
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
				t.Fatalf("%v: %s", err, &out)
			}
		}
		for v := range got.Versions {
			if set[v] {
				t.Errorf("hidden version %q in %s", v, &out)
			}
		}
		for tag, v := range got.Tags {
			if s, ok := v.(string); ok && set[s] {
				t.Errorf("tag %q names hidden version %q", tag, s)
			}
		}
	})
}

func FuzzSimple(f *testing.F) {
	f.Add([]byte(simpleDoc))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if p, err := ParseSimpleHTML(bytes.NewReader(doc)); err == nil {
			for _, v := range p.Versions {
				if v.Version == "" {
					t.Error("a file without a version")
				}
			}
		}
		p, err := ParseSimpleJSON(bytes.NewReader(doc))
		if err != nil {
			return
		}
		set := map[string]bool{}
		for v := range (Rules{MinReleaseAge: 48 * time.Hour}).Hide(now, p, "six") {
			set[v] = true
		}
		var out, page bytes.Buffer
		if err := RewriteSimpleJSON(&out, bytes.NewReader(doc), set); err != nil {
			return
		}
		q, err := ParseSimpleJSON(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatalf("%v: %s", err, &out)
		}
		for _, v := range q.Versions {
			if set[v.Version] {
				t.Errorf("hidden version %q in %s", v.Version, &out)
			}
		}
		if err := SimpleHTML(&page, bytes.NewReader(out.Bytes())); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(page.String()), "<script") {
			t.Errorf("%s", &page)
		}
	})
}

// Lists of other ecosystems: no panic, and what is read is bounded and clean.
func FuzzLists(f *testing.F) {
	f.Add([]byte("Filename: a/b\nSHA256: " + hex64 + "\n"))
	f.Add([]byte(`{"name":"x","vers":"1","cksum":"` + hex64 + `"}`))
	f.Add([]byte("a.b/c v1.0.0 h1:" + strings.Repeat("A", 43) + "=\nSHA256:\n " + hex64 + " 1 a"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		clean := func(f AptFile) {
			if strings.HasPrefix(f.Path, "/") || strings.Contains("/"+f.Path+"/", "/../") {
				t.Errorf("path %q", f.Path)
			}
		}
		_ = ParseAptPackages(bytes.NewReader(doc), clean)
		lists, _ := ParseAptRelease(bytes.NewReader(doc))
		for _, l := range lists {
			clean(l)
		}
		_ = ParseGoSums(bytes.NewReader(doc), func(_, _ string, d store.Digest) {
			if _, err := store.ParseDigest(string(d)); err != nil {
				t.Error(err)
			}
		})
		_, _ = ParseGoInfo(bytes.NewReader(doc))
		if p, err := ParseCrate(bytes.NewReader(doc)); err == nil {
			var out bytes.Buffer
			if err := RewriteCrate(&out, bytes.NewReader(doc), nil); err != nil {
				t.Error(err)
			}
			if q, err := ParseCrate(&out); err != nil || len(q.Versions) != len(p.Versions) {
				t.Errorf("%v", err)
			}
		}
	})
}

func BenchmarkPackument(b *testing.B) {
	ages := map[string]int{}
	for i := range 500 {
		ages[fmt.Sprintf("1.%d.0", i)] = i
	}
	doc := packument("x", "1.1.0", ages)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePackument(bytes.NewReader(doc)); err != nil {
			b.Fatal(err)
		}
	}
}
