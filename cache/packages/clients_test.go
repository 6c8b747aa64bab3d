// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/internal/testenv"
)

// wheel makes one that pip takes.
func wheel(t *testing.T, name, version string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	info := name + "-" + version + ".dist-info/"
	for _, f := range [][2]string{
		{name + ".py", "version = '" + version + "'\n"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	} {
		e, err := w.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPip: pip takes the older version by itself, and needs no network then.
func TestPip(t *testing.T) {
	pip := testenv.NeedTool(t, "pip")
	wheels := map[string][]byte{}
	var files []map[string]any
	for version, age := range map[string]time.Duration{"1.0": 400 * day, "1.1": day} {
		name := "zviz_six-" + version + "-py3-none-any.whl"
		wheels["/packages/"+name] = wheel(t, "zviz_six", version)
		files = append(files, map[string]any{
			"filename": name, "url": pypiFiles + "/" + name, "hashes": map[string]string{"sha256": hash256(wheels["/packages/"+name])},
			"upload-time": time.Now().Add(-age).UTC().Format(time.RFC3339Nano),
		})
	}
	page, err := json.Marshal(map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": "zviz-six", "versions": []string{"1.0", "1.1"}, "files": files})
	if err != nil {
		t.Fatal(err)
	}
	u := newUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/simple/zviz-six/" {
			rw.Header().Set("Content-Type", registry.PyPIJSON)
			_, _ = rw.Write(page)
		} else if b := wheels[r.URL.Path]; b != nil {
			_, _ = rw.Write(b)
		} else {
			http.NotFound(rw, r)
		}
	})
	b := newBench(t)
	download := func(c Config) (string, string) {
		t.Helper()
		c.Ecosystem, c.Base, c.Files = registry.PyPI, pypiBase, []string{pypiFiles}
		dir := t.TempDir()
		cmd := exec.Command(pip, "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0", "-d", dir,
			"--index-url", pypiBase+"/", "--trusted-host", "pypi.test", "--trusted-host", "files.test", "zviz-six")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "http_proxy=" + front(t, b.transport(u, c)).URL, "PIP_CONFIG_FILE=/dev/null"}
		out, err := cmd.CombinedOutput()
		got, _ := filepath.Glob(filepath.Join(dir, "*.whl"))
		if (err == nil) != (len(got) == 1) {
			t.Fatalf("%v, %q\n%s", err, got, out)
		}
		if len(got) == 0 {
			return "", string(out)
		}
		return filepath.Base(got[0]), string(out)
	}
	if got, out := download(Config{}); !strings.Contains(got, "-1.1-") {
		t.Fatalf("control: %q\n%s", got, out)
	}
	rules := registry.Rules{MinReleaseAge: 7 * day}
	if got, out := download(Config{Rules: rules}); !strings.Contains(got, "-1.0-") {
		t.Errorf("cooldown: %q\n%s", got, out)
	}
	u.down.Store(true)
	if got, out := download(Config{Offline: true, Rules: rules}); !strings.Contains(got, "-1.0-") {
		t.Errorf("offline: %q\n%s", got, out)
	}
	if got, out := download(Config{}); got == "" && !strings.Contains(out, "zviz-six") {
		t.Errorf("%q\n%s", got, out)
	}
}

// TestCargoFetch: cargo fetches through the store, and without a network.
func TestCargoFetch(t *testing.T) {
	cargo := testenv.NeedTool(t, "cargo")
	if err := exec.Command(cargo, "--version").Run(); err != nil {
		testenv.Missing(t, "cargo does not run: %v", err)
	}
	const index, dl = "http://index.test/", "http://dl.test/crates"
	crates := map[string][]byte{}
	var lines strings.Builder
	for version, age := range map[string]time.Duration{"1.0.0": 400 * day, "1.0.1": day} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for name, content := range map[string]string{
			"Cargo.toml": "[package]\nname = \"zvizdep\"\nversion = \"" + version + "\"\nedition = \"2021\"\n", "src/lib.rs": "",
		} {
			if err := w.WriteHeader(&tar.Header{Name: "zvizdep-" + version + "/" + name, Mode: 0o644, Size: int64(len(content))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		z.Close()
		crates["/crates/zvizdep/"+version+"/download"] = b.Bytes()
		fmt.Fprintf(&lines, `{"name":"zvizdep","vers":"%s","deps":[],"cksum":"%s","features":{},"yanked":false,"pubtime":"%s"}`+"\n", version, hash256(b.Bytes()), time.Now().Add(-age).UTC().Format(time.RFC3339))
	}
	u := newUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/config.json":
			fmt.Fprintf(rw, `{"dl":"%s"}`, dl)
		case r.URL.Path == "/zv/iz/zvizdep":
			fmt.Fprint(rw, lines.String())
		case crates[r.URL.Path] != nil:
			_, _ = rw.Write(crates[r.URL.Path])
		default:
			http.NotFound(rw, r)
		}
	})
	b := newBench(t)
	fetch := func(c Config) (string, error) {
		t.Helper()
		c.Ecosystem, c.Base, c.Files = registry.Cargo, index, []string{dl}
		dir, home := t.TempDir(), t.TempDir()
		write(t, filepath.Join(dir, "Cargo.toml"), "[package]\nname = \"me\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nzvizdep = {version = \"1\", registry = \"test\"}\n")
		if err := os.MkdirAll(filepath.Join(dir, "src"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "src", "lib.rs"), "")
		write(t, filepath.Join(home, "config.toml"), "[registries.test]\nindex = \"sparse+"+index+"\"\n[net]\nretry = 0\n")
		cmd := exec.Command(cargo, "fetch")
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "CARGO_HOME=" + home, "CARGO_HTTP_PROXY=" + front(t, b.transport(u, c)).URL}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return string(out), err
		}
		lock, err := os.ReadFile(filepath.Join(dir, "Cargo.lock"))
		if err != nil {
			t.Fatal(err)
		}
		return string(lock), nil
	}
	if got, err := fetch(Config{}); err != nil || !strings.Contains(got, `"1.0.1"`) {
		t.Fatalf("control: %v\n%s", err, got)
	}
	if e := b.last(); e.Kind != registry.File || !e.Stored {
		t.Errorf("%+v", e)
	}
	rules := registry.Rules{MinReleaseAge: 7 * day}
	if got, err := fetch(Config{Rules: rules}); err != nil || !strings.Contains(got, `"1.0.0"`) {
		t.Errorf("cooldown: %v\n%s", err, got)
	}
	u.down.Store(true)
	if got, err := fetch(Config{Offline: true}); err != nil {
		t.Errorf("offline: %v\n%s", err, got)
	}
}

// TestAptGet: apt-get reads the lists and downloads a package through the store,
// then with the network cut.
func TestAptGet(t *testing.T) {
	apt, dpkg := testenv.NeedTool(t, "apt-get"), testenv.NeedTool(t, "dpkg-deb")
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	arch := runtime.GOARCH
	write(t, filepath.Join(root, "DEBIAN", "control"), "Package: zviz-hello\nVersion: 1.0-1\nArchitecture: "+arch+"\nMaintainer: x <x@x.test>\nDescription: x\n")
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.deb")
	if out, err := exec.Command(dpkg, "--root-owner-group", "-b", root, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	deb, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := "pool/main/z/zviz-hello/zviz-hello_1.0-1_" + arch + ".deb"
	var list bytes.Buffer
	z := gzip.NewWriter(&list)
	plain := fmt.Sprintf("Package: zviz-hello\nVersion: 1.0-1\nArchitecture: %s\nMaintainer: x <x@x.test>\nFilename: %s\nSize: %d\nSHA256: %s\nDescription: x\n\n", arch, name, len(deb), hash256(deb))
	fmt.Fprint(z, plain)
	z.Close()
	listPath := "main/binary-" + arch + "/Packages.gz"
	release := fmt.Sprintf("Origin: x\nSuite: stable\nCodename: stable\nArchitectures: %s\nComponents: main\nAcquire-By-Hash: yes\nDate: %s\nSHA256:\n %s %d %s\n %s %d %s\n",
		arch, time.Now().UTC().Format(time.RFC1123), hash256(list.Bytes()), list.Len(), listPath,
		hash256([]byte(plain)), len(plain), strings.TrimSuffix(listPath, ".gz"))
	u := newUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		switch strings.TrimPrefix(r.URL.Path, "/debian/") {
		case "dists/stable/Release": // unsigned, so it cannot be InRelease
			fmt.Fprint(rw, release)
		case "dists/stable/main/binary-" + arch + "/by-hash/SHA256/" + hash256(list.Bytes()), "dists/stable/" + listPath:
			_, _ = rw.Write(list.Bytes())
		case name:
			_, _ = rw.Write(deb)
		default:
			http.NotFound(rw, r)
		}
	})
	b := newBench(t)
	get := func(c Config) (string, error) {
		t.Helper()
		c.Ecosystem, c.Base = registry.Debian, "http://deb.test/debian"
		dir := t.TempDir()
		for _, d := range []string{"lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "out"} {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(dir, "sources.list"), "deb [trusted=yes arch="+arch+"] http://deb.test/debian stable main\n")
		write(t, filepath.Join(dir, "status"), "")
		options := []string{
			"-o", "Dir::State::lists=" + dir + "/lists", "-o", "Dir::State::status=" + dir + "/status", "-o", "Dir::Cache=" + dir + "/cache",
			"-o", "Dir::Etc::sourcelist=" + dir + "/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "Dir::Etc::parts=" + dir + "/etc/apt.conf.d",
			"-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=0", "-o", "APT::Architecture=" + arch, "-o", "Acquire::Languages=none",
			"-o", "Acquire::http::Proxy=" + front(t, b.transport(u, c)).URL,
		}
		all := ""
		for _, args := range [][]string{{"update"}, {"download", "zviz-hello"}} {
			cmd := exec.Command(apt, append(options, args...)...)
			cmd.Dir = filepath.Join(dir, "out")
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
			out, err := cmd.CombinedOutput()
			if all += string(out); err != nil {
				return all, err
			}
		}
		got, err := os.ReadFile(filepath.Join(dir, "out", "zviz-hello_1.0-1_"+arch+".deb"))
		if err == nil && !bytes.Equal(got, deb) {
			t.Error("another file")
		}
		return all, err
	}
	if out, err := get(Config{}); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if e := b.last(); e.Name != "zviz-hello" || !e.Stored || e.Digest.Value() != hash256(deb) {
		t.Errorf("%+v", e)
	}
	u.down.Store(true)
	if out, err := get(Config{Offline: true}); err != nil {
		t.Errorf("offline: %v\n%s", err, out)
	}
	b = newBench(t)
	if out, err := get(Config{Offline: true}); err == nil || !strings.Contains(out, "zviz-hello") {
		t.Errorf("control, an empty store: %v\n%s", err, out)
	}
}
