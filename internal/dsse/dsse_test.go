// SPDX-License-Identifier: Apache-2.0

package dsse

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/zviz/run/internal/testenv"
)

func TestPAE(t *testing.T) {
	// The test vector of the specification.
	if got := string(PAE("http://example.com/HelloWorld", []byte("hello world"))); got != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Error(got)
	}
}

// Keys made by openssl sign here, and openssl verifies.
func TestAgainstOpenSSL(t *testing.T) {
	openssl := testenv.NeedTool(t, "openssl")
	for _, tt := range []struct {
		name   string
		make   []string
		verify func(pub, sig, message string) []string
	}{
		{"Ed25519", []string{"genpkey", "-algorithm", "ed25519"}, func(pub, sig, message string) []string {
			return []string{"pkeyutl", "-verify", "-pubin", "-inkey", pub, "-rawin", "-in", message, "-sigfile", sig}
		}},
		{"P-256", []string{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, func(pub, sig, message string) []string {
			return []string{"dgst", "-sha256", "-verify", pub, "-signature", sig, message}
		}},
		{"P-256, SEC 1", []string{"ecparam", "-name", "prime256v1", "-genkey", "-noout"}, func(pub, sig, message string) []string {
			return []string{"dgst", "-sha256", "-verify", pub, "-signature", sig, message}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			file := func(name string) string { return filepath.Join(dir, name) }
			run := func(args ...string) error {
				out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput()
				if err != nil {
					t.Logf("openssl %v: %s", args, out)
				}
				return err
			}
			if err := errors.Join(run(append(tt.make, "-out", file("key"))...), run("pkey", "-in", file("key"), "-pubout", "-out", file("pub"))); err != nil {
				t.Fatal(err)
			}
			key, err := ParseSigner(read(t, file("key")))
			if err != nil {
				t.Fatal(err)
			}
			payload := []byte(`{"a":"b"}`)
			data, err := Sign(key, InToto, payload)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(e.Payload, payload) || e.PayloadType != InToto {
				t.Errorf("%+v", e)
			}
			write(t, file("sig"), e.Signatures[0].Sig)
			write(t, file("message"), PAE(e.PayloadType, e.Payload))
			if err := run(tt.verify(file("pub"), file("sig"), file("message"))...); err != nil {
				t.Errorf("openssl does not verify: %v", err)
			}
			pub, err := ParsePublic(read(t, file("pub")))
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Verify(pub); err != nil {
				t.Error(err)
			}
			for name, change := range map[string]func(*Envelope){
				"payload":   func(e *Envelope) { e.Payload = []byte(`{"a":"c"}`) },
				"type":      func(e *Envelope) { e.PayloadType = "text/plain" },
				"signature": func(e *Envelope) { e.Signatures = []Signature{{Sig: bytes.Repeat([]byte{1}, 64)}} },
			} {
				changed := e
				change(&changed)
				if err := changed.Verify(pub); !errors.Is(err, ErrSignature) {
					t.Errorf("another %s: %v", name, err)
				}
			}
		})
	}
}

func TestOtherKeysAreRefused(t *testing.T) {
	openssl := testenv.NeedTool(t, "openssl")
	for name, args := range map[string][]string{
		"RSA":       {"genpkey", "-algorithm", "RSA"},
		"P-384":     {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
		"X25519":    {"genpkey", "-algorithm", "x25519"},
		"encrypted": {"genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x"},
	} {
		out, err := exec.CommandContext(t.Context(), openssl, args...).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := ParseSigner(out); err == nil {
			t.Errorf("%s: taken", name)
		}
		if _, err := ParsePublic(out); err == nil {
			t.Errorf("%s: taken as a public key", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"payloadType":"a","payload":"e30=","signatures":[{"keyid":"","sig":"AA=="}]}`))
	pub, err := ParsePublic([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := Parse(data); err == nil && e.Verify(pub) == nil {
			t.Errorf("%q is signed by a key that nobody has", data)
		}
	})
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
