// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// shelf is a machine whose npm registry has some packages, and a package store.
type shelf struct {
	*operator
	packages string
	log      *buffer
	tarballs map[string][]byte // by name
}

// The packages of a shelf. corp is for who has the token.
const (
	plainPackage = "left"
	freshPackage = "fresh" // published this very hour
	corpPackage  = "@corp/x"
)

func newShelf(t *testing.T) *shelf {
	t.Helper()
	testenv.NeedTool(t, "npm")
	s := &shelf{log: &buffer{}, packages: filepath.Join(t.TempDir(), "packages"), tarballs: map[string][]byte{}}
	for _, name := range []string{plainPackage, freshPackage, corpPackage} {
		s.tarballs[name] = archive(t, map[string]string{"package/package.json": `{"name":"` + name + `","version":"1.0.0"}`, "package/index.js": "// " + strings.Repeat(name, 100)})
	}
	s.operator = newOperator(t, s.serve, map[string]string{".npmrc": npmrc("s3cr3t-npm")})
	s.x = s.executor(t)
	return s
}

// executor is one more runner of the machine.
func (s *shelf) executor(t *testing.T) *executor.Executor {
	t.Helper()
	x, err := executor.New(executor.Config{StateDir: s.state, Home: s.home, PackageDir: s.packages, Environ: []string{"PATH=" + os.Getenv("PATH")}, Log: slog.New(slog.NewTextHandler(s.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (s *shelf) serve(w http.ResponseWriter, r *http.Request) {
	name, file, archived := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/npm/private"), "/"), "/-/")
	b, ok := s.tarballs[name]
	private := strings.HasPrefix(r.URL.Path, "/npm/private/")
	if !ok || private != (name == corpPackage) || archived && file != s.file(name) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if private && r.Header.Get("Authorization") != "Bearer s3cr3t-npm" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if archived {
		_, _ = w.Write(b)
		return
	}
	when := "2020-01-01T00:00:00Z"
	if name == freshPackage {
		when = time.Now().UTC().Format(time.RFC3339)
	}
	doc := map[string]any{
		"name": name, "dist-tags": map[string]string{"latest": "1.0.0"}, "time": map[string]string{"1.0.0": when},
		"versions": map[string]any{"1.0.0": map[string]any{"name": name, "version": "1.0.0", "dist": map[string]string{"tarball": s.url(name), "integrity": s.integrity(name)}}},
	}
	if short := registry.NPMAbbreviated; strings.Contains(r.Header.Get("Accept"), short) {
		w.Header().Set("Content-Type", short)
		delete(doc, "time") // as in the real one
	}
	_ = json.NewEncoder(w).Encode(doc)
}

func (s *shelf) file(name string) string {
	return name[strings.LastIndexByte(name, '/')+1:] + "-1.0.0.tgz"
}

func (s *shelf) url(name string) string {
	if name == corpPackage {
		return "https://scope.example.com/npm/private/" + name + "/-/" + s.file(name)
	}
	return "https://registry.example.com/" + name + "/-/" + s.file(name)
}

func (s *shelf) integrity(name string) string {
	sum := sha512.Sum512(s.tarballs[name])
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// cached is where npm has it in its cache.
func (s *shelf) cached(name string) string {
	sum := sha512.Sum512(s.tarballs[name])
	h := hex.EncodeToString(sum[:])
	return "$HOME/.npm/_cacache/content-v2/sha512/" + h[:2] + "/" + h[2:4] + "/" + h[4:]
}

// lockfile names packages as npm does.
func (s *shelf) lockfile(t *testing.T, names ...string) (manifest, lock string) {
	t.Helper()
	deps, all := map[string]string{}, map[string]any{}
	for _, n := range names {
		deps[n] = "1.0.0"
		all["node_modules/"+n] = map[string]string{"version": "1.0.0", "resolved": s.url(n), "integrity": s.integrity(n)}
	}
	top := map[string]any{"name": "job", "version": "1.0.0", "dependencies": deps}
	all[""] = top
	a, err := json.Marshal(top)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"name": "job", "version": "1.0.0", "lockfileVersion": 3, "packages": all})
	if err != nil {
		t.Fatal(err)
	}
	return string(a), string(b)
}

func (s *shelf) lock(t *testing.T, names ...string) {
	t.Helper()
	manifest, lock := s.lockfile(t, names...)
	s.write(t, "package.json", manifest)
	s.write(t, "package-lock.json", lock)
}

const npmCI = "exec 2>&1; npm ci --no-update-notifier --fetch-retries=0"

// ci runs a script in a fresh sandbox and returns what was fetched of archives.
func (s *shelf) ci(t *testing.T, policy executor.Policy, script string) (out string, report executor.Report, fetched []string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.work, "node_modules")); err != nil {
		t.Fatal(err)
	}
	out, report, err := s.run(t, executor.Request{Presets: []string{"npm"}, Policy: policy}, script)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, e := range report.Egress.Events {
		if strings.HasSuffix(e.Path, ".tgz") {
			fetched = append(fetched, e.Path)
		}
	}
	if left, err := os.ReadDir(filepath.Join(s.packages, "links")); err != nil || len(left) != 0 {
		t.Errorf("left in the store: %v %v", left, err)
	}
	return out, report, fetched
}

// warm has everything fetched once, with no rule in force.
func (s *shelf) warm(t *testing.T, names ...string) {
	t.Helper()
	s.lock(t, names...)
	out, report, fetched := s.ci(t, s.policy, npmCI)
	if report.ExitCode != 0 || len(fetched) != len(names) {
		t.Fatalf("exit %d, fetched %q, want %q\n%s", report.ExitCode, fetched, names, out)
	}
}

// TestPackageLayer: the second installation asks nobody, also in another runner and
// offline, and the report says what was there.
func TestPackageLayer(t *testing.T) {
	s := newShelf(t)
	s.warm(t, plainPackage, corpPackage)
	asked := len(s.asked)
	offline := s.policy
	offline.Offline = true
	for name, policy := range map[string]executor.Policy{"again": s.policy, "offline": offline} {
		s.x = s.executor(t)
		out, report, fetched := s.ci(t, policy, npmCI+" && cat node_modules/left/index.js && stat -c '%U %a' "+s.cached(plainPackage))
		if report.ExitCode != 0 || len(fetched) != 0 || !strings.Contains(out, "// leftleft") || !strings.Contains(out, "job 444") {
			t.Errorf("%s: exit %d, fetched %q\n%s", name, report.ExitCode, fetched, out)
		}
		want := []executor.ReportPackage{
			{Ecosystem: "npm", Name: corpPackage, Version: "1.0.0", Digest: s.integrity(corpPackage), Available: true},
			{Ecosystem: "npm", Name: plainPackage, Version: "1.0.0", Digest: s.integrity(plainPackage), Available: true},
		}
		if !slices.Equal(report.Packages, want) || !report.Egress.Complete {
			t.Errorf("%s: %+v, complete %v", name, report.Packages, report.Egress.Complete)
		}
	}
	if got := s.asked[asked:]; len(got) != 0 {
		t.Errorf("the registry was asked %q", got)
	}
	// A lockfile that does not say where packages are from (npm's
	// omit-lockfile-registry-resolved): npm asks for the metadata, and for no archive.
	s.lock(t, plainPackage, corpPackage)
	_, lock := s.lockfile(t, plainPackage, corpPackage)
	for _, name := range []string{plainPackage, corpPackage} {
		lock = strings.ReplaceAll(lock, `"resolved":"`+s.url(name)+`",`, "")
	}
	s.write(t, "package-lock.json", strings.ReplaceAll(lock, `,"resolved":"`, `,"nothing":"`))
	if out, report, fetched := s.ci(t, s.policy, npmCI+" && cat node_modules/left/index.js"); report.ExitCode != 0 || len(fetched) != 0 || len(report.Egress.Events) < 2 || len(report.Packages) != 2 {
		t.Errorf("without URLs: exit %d, fetched %q, %+v\n%s", report.ExitCode, fetched, report.Packages, out)
	}
	// What it does not have is fetched beside it, and kept.
	s.lock(t, plainPackage, freshPackage)
	out, report, fetched := s.ci(t, s.policy, npmCI+" && cat node_modules/fresh/index.js && ls "+s.cached(plainPackage)+" "+s.cached(freshPackage))
	if report.ExitCode != 0 || !slices.Equal(fetched, []string{"/fresh/-/fresh-1.0.0.tgz"}) {
		t.Errorf("beside: exit %d, fetched %q\n%s", report.ExitCode, fetched, out)
	}
	if p := report.Packages; len(p) != 2 || p[0].Name != freshPackage || p[0].Available || p[1].Name != plainPackage || !p[1].Available {
		t.Errorf("beside: %+v", p)
	}
	// Who learns a policy wants to see the requests. What is mounted in its place stays.
	s.lock(t, plainPackage)
	learn := s.policy
	learn.Egress.Mode = egress.ModeLearn
	if out, report, fetched := s.ci(t, learn, npmCI); report.ExitCode != 0 || len(fetched) != 1 {
		t.Errorf("learn: exit %d, fetched %q\n%s", report.ExitCode, fetched, out)
	}
	mounted := s.policy
	mounted.Mounts = []sandbox.Mount{{Source: t.TempDir(), Target: "/home/job/.npm", Write: true, Owner: &sandbox.Owner{}}}
	if out, report, fetched := s.ci(t, mounted, npmCI+"; ls ~/.npm"); report.ExitCode != 0 || len(fetched) != 1 {
		t.Errorf("mounted: exit %d, fetched %q\n%s", report.ExitCode, fetched, out)
	}
	if log := s.log.String(); log != "" {
		t.Errorf("log: %s", log)
	}
}

// TestPackageLayerRules: what a rule refuses is not there, though the store has it.
func TestPackageLayerRules(t *testing.T) {
	s := newShelf(t)
	s.warm(t, plainPackage, freshPackage, corpPackage)
	with := func(change func(*egress.Policy)) executor.Policy {
		p := s.policy
		change(&p.Egress)
		return p
	}
	age := func(p *egress.Policy) { p.NPM.MinReleaseAge = 48 * time.Hour }
	everywhere := func(p *egress.Policy) { p.Packages.MinReleaseAge = 48 * time.Hour }
	all := []string{plainPackage, freshPackage, corpPackage}
	for _, tt := range []struct {
		name   string
		policy executor.Policy
		locked []string
		seen   []string
		fails  bool // npm ci
	}{
		{"none", s.policy, all, all, false},
		// The ages were not known when they were stored: nothing is old enough.
		{"min_release_age, the first time", with(age), []string{plainPackage, corpPackage}, nil, false},
		{"min_release_age, ages known", with(age), all, []string{plainPackage, corpPackage}, true},
		{"min_release_age of all ecosystems", with(everywhere), all, []string{plainPackage, corpPackage}, true},
		{"exclude", with(func(p *egress.Policy) { age(p); p.NPM.Exclude = []string{"fre*"} }), []string{plainPackage, freshPackage}, []string{plainPackage, freshPackage}, false},
		{"block a version", with(func(p *egress.Policy) { p.NPM.Block = []string{"fresh@1.0.0"} }), all, []string{plainPackage, corpPackage}, true},
		{"block a range", with(func(p *egress.Policy) { p.Packages.Block = []string{"left@<2.0.0"} }), all, []string{freshPackage, corpPackage}, true},
		{"lockfile_only", with(func(p *egress.Policy) { p.NPM.LockfileOnly = true }), []string{plainPackage}, []string{plainPackage}, false},
		{"a host that is denied", with(func(p *egress.Policy) { p.Deny = []string{"scope.example.com"} }), all, []string{plainPackage, freshPackage}, true},
		{"a policy that narrows", with(func(p *egress.Policy) {
			p.Within = []egress.Policy{{Rules: []egress.Rule{{Host: "registry.example.com", Paths: []string{"/left/**"}}}}}
		}), all, []string{plainPackage}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.lock(t, tt.locked...)
			s.x = s.executor(t)
			var script strings.Builder
			script.WriteString("exec 2>&1;")
			for _, n := range all {
				script.WriteString(" if test -e " + s.cached(n) + "; then echo SEEN " + n + "; fi;")
			}
			out, report, _ := s.ci(t, tt.policy, script.String()+npmCI)
			var seen []string
			for line := range strings.Lines(out) {
				if name, ok := strings.CutPrefix(line, "SEEN "); ok {
					seen = append(seen, strings.TrimSpace(name))
				}
			}
			if !slices.Equal(seen, tt.seen) {
				t.Errorf("seen %q, want %q\n%s", seen, tt.seen, out)
			}
			if (report.ExitCode != 0) != tt.fails {
				t.Errorf("exit %d\n%s", report.ExitCode, out)
			}
			for _, p := range report.Packages {
				if p.Available != slices.Contains(tt.seen, p.Name) {
					t.Errorf("the report has %+v", p)
				}
			}
			if _, err := os.Lstat(filepath.Join(s.work, "node_modules", freshPackage)); err == nil && tt.fails && !slices.Contains(tt.seen, freshPackage) {
				t.Error("what the rule refuses is installed")
			}
		})
	}
}

// TestPackageLayerOfANarrowedCommand: what the repository's own policy takes away is not
// there either.
func TestPackageLayerOfANarrowedCommand(t *testing.T) {
	s := newShelf(t)
	s.warm(t, plainPackage)
	look := "if test -e " + s.cached(plainPackage) + "; then echo SEEN; fi"
	for text, want := range map[string]string{
		"":                                       "SEEN\n",
		"version: 1\negress: {deny: [a.test]}\n": "SEEN\n",
		"version: 1\negress: {allow: []}\n":      "",
		"version: 1\negress: {deny: [registry.example.com]}\n":  "",
		"version: 1\negress: {npm: {block: ['left@<2.0.0']}}\n": "",
	} {
		file := filepath.Join(s.work, executor.RepositoryPolicyName)
		_ = os.Remove(file)
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, _, _ := s.ci(t, s.policy, look); out != want {
			t.Errorf("%q: %q", text, out)
		}
	}
}

// TestPackageLayerScopes: a job sees nothing of a registry that its own policy does not
// lead to, whatever its lockfile names; nor what the lockfile has another digest for.
func TestPackageLayerScopes(t *testing.T) {
	s := newShelf(t)
	s.warm(t, plainPackage, corpPackage)
	look := "exec 2>&1; for f in " + s.cached(plainPackage) + " " + s.cached(corpPackage) + "; do test -e $f && echo SEEN; done; echo looked"
	if out, _, _ := s.ci(t, s.policy, look); out != "SEEN\nSEEN\nlooked\n" {
		t.Fatalf("the operator's own: %q", out)
	}
	for name, rc := range map[string]string{
		"no scope":            "registry=https://registry.example.com/\n",
		"no credential":       "registry=https://registry.example.com/\n@corp:registry=https://scope.example.com/npm/private/\n",
		"another credential":  "registry=https://registry.example.com/\n@corp:registry=https://scope.example.com/npm/private/\n//scope.example.com/npm/private/:_auth=Ym9iOng=\n",
		"another default one": "registry=https://scope.example.com/\n",
	} {
		if err := os.WriteFile(filepath.Join(s.home, ".npmrc"), []byte(rc), 0o600); err != nil {
			t.Fatal(err)
		}
		s.x = s.executor(t)
		out, report, _ := s.ci(t, s.policy, look)
		want, most := "SEEN\nlooked\n", 1
		if name == "another default one" {
			want, most = "looked\n", 0
		}
		if out != want || len(report.Packages) > most {
			t.Errorf("%s: %q, %+v", name, out, report.Packages)
		}
	}
	if err := os.WriteFile(filepath.Join(s.home, ".npmrc"), []byte(npmrc("s3cr3t-npm")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, lock := s.lockfile(t, plainPackage, corpPackage)
	s.write(t, "package-lock.json", strings.ReplaceAll(lock, s.integrity(plainPackage), s.integrity(freshPackage)))
	if out, _, _ := s.ci(t, s.policy, look); out != "SEEN\nlooked\n" {
		t.Errorf("another digest: %q", out)
	}
}

// hostile does to the files of the layer whatever a job can do to files.
const hostile = `exec 2>&1
f=FILE; d=$(dirname $f); c=$HOME/.npm/_cacache
test -f $f || echo NOT THERE
echo poison >> $f && echo written
ln $f $c/linked; chmod 666 $c/linked && echo poison >> $c/linked
chmod u+w $f && echo poison >> $f; truncate -s 0 $f; touch -d 2001-01-01 $f; chmod 4755 $f
python3 -c 'import os,sys; [os.setxattr(sys.argv[1], a, b"y") for a in ("user.x", "user.overlay.opaque")]' $f; python3 -c 'import os,sys; os.setxattr(sys.argv[1], "trusted.overlay.opaque", b"y")' $d
mv $f $d/moved; rm -f $d/moved; echo planted > $f; echo planted > $c/planted; mkdir -p $c/content-v2/sha512/zz; rm -rf $c/content-v2/sha512/??
mv $HOME/.npm $HOME/moved; mkdir -p $HOME/.npm; umount $HOME/moved/_cacache; cat $HOME/moved/_cacache/planted
exit 0`

// TestPackageLayerIsReadOnly: nothing that a job does to its cache is seen by the store
// or by the next job.
func TestPackageLayerIsReadOnly(t *testing.T) {
	s := newShelf(t)
	s.warm(t, plainPackage)
	before := blobs(t, s.packages)
	out, _, _ := s.ci(t, s.policy, strings.ReplaceAll(hostile, "FILE", s.cached(plainPackage)))
	if strings.Contains(out, "NOT THERE") || !strings.HasSuffix(out, "planted\n") {
		t.Fatalf("the attack did not take place:\n%s", out)
	}
	if after := blobs(t, s.packages); !maps.Equal(before, after) {
		t.Errorf("before %+v\nafter %+v\n%s", before, after, out)
	}
	files, err := store.Open(store.Config{Dir: s.packages})
	if err != nil {
		t.Fatal(err)
	}
	v, err := files.Verify(t.Context())
	if err != nil || len(v.Faults) != 0 || v.Files == 0 {
		t.Errorf("%+v, %v", v, err)
	}
	if err := files.Close(); err != nil {
		t.Error(err)
	}
	out, report, fetched := s.ci(t, s.policy, "exec 2>&1; find $HOME/.npm $HOME/moved -name 'planted' -o -name zz -o -name linked; grep -rl poison $HOME/.npm;"+npmCI)
	if report.ExitCode != 0 || len(fetched) != 0 || strings.Contains(out, "planted") || strings.Contains(out, "poison") {
		t.Errorf("the next job: exit %d, fetched %q\n%s", report.ExitCode, fetched, out)
	}
}

// blob is what a change of a stored file shows in.
type blob struct {
	sum   [64]byte
	mode  os.FileMode
	links uint64
	mtime time.Time
	uid   uint32
}

func blobs(t *testing.T, dir string) map[string]blob {
	t.Helper()
	out := map[string]blob{}
	files, _ := filepath.Glob(filepath.Join(dir, "blobs/sha256/*/*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Lstat(f)
		if err != nil {
			t.Fatal(err)
		}
		sys := st.Sys().(*syscall.Stat_t)
		out[f] = blob{sha512.Sum512(b), st.Mode(), uint64(sys.Nlink), st.ModTime(), sys.Uid} //nolint:unconvert // 32 bits on arm64
	}
	if len(out) == 0 {
		t.Fatal("the store is empty")
	}
	return out
}

// TestPackageLayerOfSteps: the steps of a job see one cache. A job that puts something
// else in its place goes on without the layer.
func TestPackageLayerOfSteps(t *testing.T) {
	s := newShelf(t)
	s.warm(t, plainPackage)
	manifest, lock := s.lockfile(t, plainPackage)
	const repo = executor.RunnerWork + "/repo/repo"
	open := func(t *testing.T) *executor.Cell {
		t.Helper()
		cell, err := s.x.OpenCell(t.Context(), executor.CellRequest{Policy: s.policy, Presets: []string{"npm"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := cell.Close(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(filepath.Join(s.packages, "links")); err != nil || len(left) != 0 {
				t.Errorf("left in the store: %v %v", left, err)
			}
		})
		return cell
	}
	run := func(t *testing.T, cell *executor.Cell, script string) string {
		t.Helper()
		var out buffer
		if err := cell.Prepare(t.Context()); err != nil { // as package job does
			t.Fatal(err)
		}
		res, err := cell.Run(t.Context(), executor.Step{Args: []string{"sh", "-c", "exec 2>&1; " + script}, Dir: repo, Stdout: &out, Stderr: &out})
		if err != nil || res.ExitCode != 0 {
			t.Errorf("%+v, %v: %s", res, err, out.String())
		}
		return out.String()
	}
	checkout := func(t *testing.T, cell *executor.Cell) {
		t.Helper()
		for name, text := range map[string]string{"package.json": manifest, "package-lock.json": lock} {
			if err := cell.WriteFile(repo+"/"+name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("cache", func(t *testing.T) {
		cell := open(t)
		if err := cell.MkdirAll(repo); err != nil {
			t.Fatal(err)
		}
		run(t, cell, "mkdir -p ~/.npm/_cacache/old && echo old > ~/.npm/_cacache/old/file")
		checkout(t, cell)
		run(t, cell, npmCI+" && cat ~/.npm/_cacache/old/file && echo new > ~/.npm/_cacache/new && (sleep 1000 &)")
		out := run(t, cell, "rm -r node_modules; cat ~/.npm/_cacache/old/file ~/.npm/_cacache/new; "+npmCI+"; id -un; stat -c %U ~/.npm ~/.npm/_cacache "+s.cached(plainPackage))
		if !strings.HasPrefix(out, "old\nnew\n") || !strings.HasSuffix(out, "runner\nrunner\nrunner\nrunner\n") {
			t.Errorf("the third step: %s", out)
		}
		for _, e := range cell.Events() {
			t.Errorf("asked for %s %s", e.Host, e.Path)
		}
		if p := cell.Packages(); len(p) != 1 || p[0].Name != plainPackage || !p[0].Available {
			t.Errorf("%+v", p)
		}
	})
	if log := s.log.String(); log != "" {
		t.Errorf("log: %s", log)
	}
	t.Run("a link in its place", func(t *testing.T) {
		cell := open(t)
		if err := cell.MkdirAll(repo); err != nil {
			t.Fatal(err)
		}
		run(t, cell, "mkdir -p ~/elsewhere && ln -s ~/elsewhere ~/.npm")
		checkout(t, cell)
		run(t, cell, npmCI)
		if len(cell.Events()) == 0 || len(cell.Packages()) != 0 {
			t.Errorf("%d events, %+v", len(cell.Events()), cell.Packages())
		}
		if log := s.log.String(); !strings.Contains(log, "through the gateway") {
			t.Errorf("log: %s", log)
		}
	})
	t.Run("a link later on", func(t *testing.T) {
		cell := open(t)
		checkout(t, cell)
		run(t, cell, npmCI+"; mv ~/.npm ~/was; ln -s /proc ~/.npm")
		if out := run(t, cell, "echo goes on; ls ~/.npm/_cacache || true"); !strings.HasPrefix(out, "goes on\n") {
			t.Errorf("%q", out)
		}
	})
}
