// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/mod/module"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// goListed bounds how many versions of a list are asked for their age. What is
// older in the order of versions stays in the list, and is judged when it is
// asked for.
const goListed = 32

// forever is for documents that never change once they are there.
const forever = 100 * 365 * 24 * time.Hour

// golang answers with the versions of a module, its latest, or what there is of
// one version.
func (t *transport) golang(ctx context.Context, q asked) (*http.Response, error) {
	d, err := t.document(ctx, wanted{base: q.base, path: q.Path(), name: t.label(q), ttl: goTTL(q)})
	if err != nil {
		return nil, err
	}
	if !t.c.Rules.Strict() {
		t.observe(q, d, nil)
		return t.whole(q, d)
	}
	defer d.Close() //nolint:errcheck // only read
	r, err := d.plain()
	if err != nil {
		return nil, err
	}
	if q.File == registry.GoList {
		versions, err := registry.ParseGoList(r)
		if err != nil {
			return nil, err
		}
		left, hidden, err := t.goVisible(ctx, q, versions)
		if err != nil {
			return nil, err
		}
		t.observe(q, d, hidden)
		return text(q, strings.Join(left, "\n")), nil
	}
	info, err := registry.ParseGoInfo(r)
	if err != nil {
		return nil, err
	}
	decision := t.c.Rules.Judge(t.c.Now(), t.c.Ecosystem, q.Name, registry.Version{Version: info.Version, Published: info.Time})
	switch {
	case decision.Allowed():
		t.observe(q, d, nil)
		e, err := t.pool.files.Get(d.Record.Key)
		if err != nil {
			return nil, err
		}
		return t.whole(q, &document{Entry: e, fresh: d.fresh})
	case q.File == registry.GoLatest:
		return t.goLatest(ctx, q, d, info, decision)
	default:
		return nil, refuse(decision)
	}
}

func goTTL(q asked) time.Duration {
	if q.Kind == registry.Manifest && module.CanonicalVersion(q.Version) == q.Version {
		return forever // of a version, not of a branch
	}
	return documentTTL
}

// goVisible leaves the versions that the rules allow, newest first.
func (t *transport) goVisible(ctx context.Context, q asked, versions []string) (left []string, hidden []Hidden, err error) {
	for i, version := range versions {
		v := registry.Version{Version: version, Published: t.longAgo()}
		if t.c.Rules.Aged(t.c.Ecosystem, q.Name) && i < goListed {
			if v.Published, err = t.goTime(ctx, q.Name, version); err != nil {
				return nil, nil, err
			}
		}
		if d := t.c.Rules.Judge(t.c.Now(), t.c.Ecosystem, q.Name, v); !d.Allowed() {
			hidden = append(hidden, Hidden{version, d.Reason})
			continue
		}
		left = append(left, version)
	}
	return left, hidden, nil
}

// goLatest answers with the newest version that may be seen instead.
func (t *transport) goLatest(ctx context.Context, q asked, d *document, info registry.GoVersion, why registry.Decision) (*http.Response, error) {
	path := strings.TrimSuffix(q.Path(), "/@latest") + "/@v/list"
	list, err := t.document(ctx, wanted{base: q.base, path: path, name: q.Name, ttl: documentTTL})
	if err != nil {
		return nil, err
	}
	defer list.Close() //nolint:errcheck // only read
	r, err := list.plain()
	if err != nil {
		return nil, err
	}
	versions, err := registry.ParseGoList(r)
	if err != nil {
		return nil, err
	}
	left, hidden, err := t.goVisible(ctx, q, versions)
	if err != nil {
		return nil, err
	}
	best := ""
	for _, v := range left {
		if best == "" || strings.Contains(best, "-") && !strings.Contains(v, "-") {
			best = v
		}
	}
	if best == "" {
		return nil, refuse(why)
	}
	if hidden == nil {
		hidden = []Hidden{{info.Version, why.Reason}}
	}
	t.observe(q, d, hidden)
	when, err := t.goTime(ctx, q.Name, best)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{best, when})
	if err != nil {
		return nil, err
	}
	return respond(q.http, http.StatusOK, http.Header{"Content-Type": {"application/json"}}, bytesBody(b), int64(len(b))), nil
}

// goTime is the time of a version; zero if the proxy does not say.
func (t *transport) goTime(ctx context.Context, name, version string) (time.Time, error) {
	path := registry.GoPath(name, version, registry.GoInfo)
	if path == "" {
		return time.Time{}, nil
	}
	d, err := t.document(ctx, wanted{base: t.base, path: path, name: name + "@" + version, ttl: forever})
	if up, ok := errors.AsType[*upstreamError](err); ok && up.status < 500 {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	defer d.Close() //nolint:errcheck // only read
	r, err := d.plain()
	if err != nil {
		return time.Time{}, err
	}
	info, err := registry.ParseGoInfo(r)
	return info.Time, err
}

// knowGo asks the checksum database, and for the age the proxy.
func (t *transport) knowGo(ctx context.Context, q asked, digests bool) (knowledge, error) {
	k := knowledge{registry.Version{Version: q.Version}, true}
	var err error
	if t.c.Rules.Aged(t.c.Ecosystem, q.Name) {
		if k.Published, err = t.goTime(ctx, q.Name, q.Version); err != nil {
			return knowledge{}, err
		}
	}
	if !digests || t.c.SumDB == "" {
		return k, nil
	}
	zip, mod, err := t.goSums(ctx, q.Name, q.Version)
	if err != nil {
		return knowledge{}, err
	}
	want := zip
	if q.File == registry.GoMod {
		want = mod
	}
	if want != "" {
		k.Digests = []store.Digest{want}
	}
	return k, nil
}

func text(q asked, s string) *http.Response {
	if s != "" {
		s += "\n"
	}
	return respond(q.http, http.StatusOK, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, bytesBody([]byte(s)), int64(len(s)))
}
