// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

// operator is a machine with a registry on loopback and the operator's home.
type operator struct {
	bench
	home   string
	policy executor.Policy

	mu    sync.Mutex
	asked []string // METHOD HOST PATH AUTHORIZATION
}

// newOperator serves what answer serves under the names of *.example.com, which is
// what the certificate of httptest is for.
func newOperator(t *testing.T, answer http.HandlerFunc, files map[string]string, env ...string) *operator {
	t.Helper()
	o := &operator{bench: newBench(t), home: t.TempDir()}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked = append(o.asked, r.Method+" "+r.Host+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		o.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	for _, h := range []string{"registry.example.com", "scope.example.com"} {
		at[h] = server.Listener.Addr().String()
	}
	o.policy.Egress.Upstream = egress.Upstream{Hosts: at, CAFile: ca}
	for name, text := range files {
		name = filepath.Join(o.home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	path := "PATH=" + os.Getenv("PATH")
	x, err := executor.New(executor.Config{StateDir: o.state, Home: o.home, Environ: append([]string{path}, env...)})
	if err != nil {
		t.Fatal(err)
	}
	o.x = x
	return o
}

// archive is a gzipped tar.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// nowhere prints what a job can see of the operator's secret.
const nowhere = `; r=$?; env >/tmp/seen; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline >>/tmp/seen 2>/dev/null; grep -rs 's3cr3[t]' /tmp /etc/zviz /.cargo /.yarnrc.yml "$HOME" . && echo SEEN; exit $r`

func (o *operator) check(t *testing.T, out string, err error, report executor.Report, want ...string) {
	t.Helper()
	if err != nil || report.ExitCode != 0 {
		t.Fatalf("exit %d, %v\n%s\nasked: %q", report.ExitCode, err, out, o.asked)
	}
	if strings.Contains(out, "SEEN") || strings.Contains(out, "s3cr3t") {
		t.Errorf("the job sees the credential:\n%s", out)
	}
	state, _ := os.ReadFile(filepath.Join(o.state, "discovery.json"))
	if len(state) == 0 || bytes.Contains(state, []byte("s3cr3t")) {
		t.Errorf("discovery.json: %s", state)
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(o.asked, "\n"), w) {
			t.Errorf("the registry was not asked %q, but %q", w, o.asked)
		}
	}
}

// privateNPM is a registry below a path that has @corp/x for who has the token.
func privateNPM(t *testing.T) http.HandlerFunc {
	t.Helper()
	tarball := archive(t, map[string]string{"package/package.json": `{"name":"@corp/x","version":"1.0.0"}`})
	sum1, sum512 := sha1.Sum(tarball), sha512.Sum512(tarball)
	return func(w http.ResponseWriter, r *http.Request) {
		private := strings.HasPrefix(r.URL.Path, "/npm/private/")
		if private && r.Header.Get("Authorization") != "Bearer s3cr3t-npm" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/-/x-1.0.0.tgz"):
			_, _ = w.Write(tarball)
		case r.URL.Path == "/npm/private/@corp/x":
			_ = json.NewEncoder(w).Encode(map[string]any{
				"name": "@corp/x", "dist-tags": map[string]string{"latest": "1.0.0"}, "time": map[string]string{"1.0.0": "2020-01-01T00:00:00Z"},
				"versions": map[string]any{"1.0.0": map[string]any{"name": "@corp/x", "version": "1.0.0", "dist": map[string]string{
					"tarball": "https://scope.example.com/npm/private/@corp/x/-/x-1.0.0.tgz", "shasum": hex.EncodeToString(sum1[:]), "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum512[:]),
				}}},
			})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}
}

// npmrc says where it is.
func npmrc(token string) string {
	return "registry=https://registry.example.com/\n@corp:registry=https://scope.example.com/npm/private/\n//scope.example.com/npm/private/:_authToken=" + token + "\n"
}

// TestNPMScope installs a private package: its token is the gateway's alone.
func TestNPMScope(t *testing.T) {
	testenv.NeedTool(t, "npm")
	answer := privateNPM(t)
	for name, token := range map[string]string{"written": "s3cr3t-npm", "of the environment": "${CORP_NPM}"} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t, answer, map[string]string{
				".npmrc": npmrc(token),
			}, "CORP_NPM=s3cr3t-npm")
			o.write(t, "package.json", `{"name":"job","version":"1.0.0","dependencies":{"@corp/x":"1.0.0"}}`)
			out, report, err := o.run(t, executor.Request{Presets: []string{"npm"}, Policy: o.policy}, `npm install --no-update-notifier && test -f node_modules/@corp/x/package.json && npm config list --json`+nowhere)
			o.check(t, out, err, report, "GET scope.example.com /npm/private/@corp/x Bearer s3cr3t-npm", "GET scope.example.com /npm/private/@corp/x/-/x-1.0.0.tgz Bearer s3cr3t-npm")
			if token == "s3cr3t-npm" {
				// A publish is refused, and the registry sees nothing of it.
				o.asked = nil
				o.write(t, "package.json", `{"name":"@corp/evil","version":"1.0.0"}`)
				out, report, err = o.run(t, executor.Request{Presets: []string{"npm"}, Policy: o.policy}, `echo '//scope.example.com/npm/private/:_authToken=attacker' >.npmrc; npm publish`)
				if err != nil || report.ExitCode == 0 || strings.Contains(strings.Join(o.asked, ""), "PUT") {
					t.Errorf("publish: exit %d, %v, asked %q\n%s", report.ExitCode, err, o.asked, out)
				}
			}
		})
	}
}

// TestCargoRegistry fetches a crate of a registry that wants a token for everything.
// The runner itself asks a registry with the credential that is for it, whatever else is
// for the same host.
func TestRegistryOfTwoCredentials(t *testing.T) {
	testenv.NeedTool(t, "npm")
	o := newOperator(t, func(http.ResponseWriter, *http.Request) {}, map[string]string{
		".npmrc": "registry=https://registry.example.com/repo/one/\n//registry.example.com/repo/one/:_authToken=s3cr3t-one\n//registry.example.com/repo/two/:_authToken=s3cr3t-two\n",
	})
	got, err := o.x.Registry(t.Context(), "npm", egress.Upstream{}, nil)
	if err != nil || got.Base != "https://registry.example.com/repo/one/" || got.Authorization != "Bearer s3cr3t-one" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCargoRegistry(t *testing.T) {
	cargo := testenv.NeedTool(t, "cargo")
	home, err := os.UserHomeDir()
	if err != nil || os.Geteuid() != 0 {
		testenv.Missing(t, "needs root and a home")
	}
	crate := archive(t, map[string]string{"corpx-1.0.0/Cargo.toml": "[package]\nname = \"corpx\"\nversion = \"1.0.0\"\n", "corpx-1.0.0/src/lib.rs": ""})
	sum := sha256.Sum256(crate)
	o := newOperator(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cr3t-cargo" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/idx/config.json":
			_, _ = fmt.Fprint(w, `{"dl":"https://registry.example.com/idx/api/v1/crates","api":"https://registry.example.com/idx","auth-required":true}`)
		case "/idx/co/rp/corpx":
			_, _ = fmt.Fprintf(w, `{"name":"corpx","vers":"1.0.0","deps":[],"cksum":"%s","features":{},"yanked":false}`+"\n", hex.EncodeToString(sum[:]))
		case "/idx/api/v1/crates/corpx/1.0.0/download":
			_, _ = w.Write(crate)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}, nil)
	// cargo itself may lie below the real home; the operator's configuration does not.
	for name, text := range map[string]string{
		"config.toml":      "[registries.corp]\nindex = \"sparse+https://registry.example.com/idx/\"\n",
		"credentials.toml": "[registries.corp]\ntoken = \"Bearer s3cr3t-cargo\"\n",
	} {
		if err := os.WriteFile(filepath.Join(o.home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x, err := executor.New(executor.Config{StateDir: o.state, Home: home, Environ: []string{"PATH=" + filepath.Dir(cargo) + ":/usr/bin:/bin", "CARGO_HOME=" + o.home}})
	if err != nil {
		t.Fatal(err)
	}
	o.x = x
	o.write(t, "Cargo.toml", "[package]\nname = \"job\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\ncorpx = { version = \"1\", registry = \"corp\" }\n")
	o.write(t, "src/main.rs", "fn main() {}\n")
	out, report, err := o.run(t, executor.Request{Presets: []string{"cargo"}, Policy: o.policy}, `cargo fetch`+nowhere)
	o.check(t, out, err, report, "GET registry.example.com /idx/co/rp/corpx Bearer s3cr3t-cargo", "/idx/api/v1/crates/corpx/1.0.0/download")
}

// TestMavenMirror resolves a parent through a mirror that wants a password: Java
// trusts the gateway, and Maven asks the operator's mirror.
func TestMavenMirror(t *testing.T) {
	testenv.NeedTool(t, "mvn")
	o := newOperator(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case user != "bob" || password != "s3cr3t-mvn":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/m2/test/parent/1/parent-1.pom":
			_, _ = fmt.Fprint(w, `<project><modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>parent</artifactId><version>1</version><packaging>pom</packaging></project>`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}, map[string]string{".m2/settings.xml": `<settings><servers><server><id>corp</id><username>bob</username><password>s3cr3t-mvn</password></server></servers><mirrors><mirror><id>corp</id><mirrorOf>*</mirrorOf><url>https://registry.example.com/m2</url></mirror></mirrors></settings>`})
	o.write(t, "pom.xml", `<project><modelVersion>4.0.0</modelVersion><parent><groupId>test</groupId><artifactId>parent</artifactId><version>1</version><relativePath/></parent><artifactId>job</artifactId><packaging>pom</packaging></project>`)
	out, report, err := o.run(t, executor.Request{Presets: []string{"maven"}, Policy: o.policy}, `mvn -B validate`+nowhere)
	o.check(t, out, err, report, "GET registry.example.com /m2/test/parent/1/parent-1.pom Basic ")
}

// TestOCIPull has crane read a private image. The registry wants a token of another
// host, which only the operator's password gets; the job has neither of them.
func TestOCIPull(t *testing.T) {
	if _, err := exec.LookPath("crane"); err != nil {
		t.Skip("needs crane (go install github.com/google/go-containerregistry/cmd/crane): ", err)
	}
	const manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}`
	o := newOperator(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.Host == "scope.example.com" && user == "bob" && password == "s3cr3t-b64":
			_, _ = fmt.Fprintf(w, `{"token":"s3cr3t-token %s"}`, r.URL.Query().Get("scope"))
		case r.Host == "registry.example.com" && r.URL.Path == "/v2/" && r.Header.Get("Authorization") == "Bearer s3cr3t-token ":
		case r.Host == "registry.example.com" && r.URL.Path == "/v2/team/app/manifests/1" && r.Header.Get("Authorization") == "Bearer s3cr3t-token repository:team/app:pull":
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = fmt.Fprint(w, manifest)
		case r.Host == "registry.example.com":
			w.Header().Set("Www-Authenticate", `Bearer realm="https://scope.example.com/token",service="reg",scope="repository:team/app:pull,push"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}, map[string]string{".docker/config.json": `{"auths":{"registry.example.com":{"auth":"Ym9iOnMzY3IzdC1iNjQ="}}}`})
	out, report, err := o.run(t, executor.Request{Presets: []string{"oci"}, Policy: o.policy}, `crane manifest registry.example.com/team/app:1 | grep -q schemaVersion`+nowhere)
	o.check(t, out, err, report, "GET registry.example.com /v2/team/app/manifests/1 Bearer s3cr3t-token repository:team/app:pull")
	// A push is refused before the registry sees any of it.
	before := len(o.asked)
	out, report, err = o.run(t, executor.Request{Presets: []string{"oci"}, Policy: o.policy}, `crane append --insecure -b scratch -f /dev/null -t registry.example.com/team/app:2 || crane tag registry.example.com/team/app:1 2`)
	if err != nil || report.ExitCode == 0 {
		t.Errorf("push: exit %d, %v\n%s", report.ExitCode, err, out)
	}
	for _, a := range o.asked[before:] {
		if !strings.HasPrefix(a, "GET ") && !strings.HasPrefix(a, "HEAD ") {
			t.Errorf("the registry was asked %q", a)
		}
	}
}
