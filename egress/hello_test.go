// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
)

// recordHello returns the ClientHello that crypto/tls sends.
func recordHello(tb testing.TB, config *tls.Config) []byte {
	tb.Helper()
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		_ = tls.Client(server, config).Handshake()
		server.Close()
	}()
	_ = client.SetDeadline(time.Now().Add(5 * time.Second))
	raw, _, err := readHello(client)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// cut puts the message of a ClientHello into records of n bytes.
func cut(raw []byte, n int) []byte {
	var out []byte
	for msg := raw[5:]; len(msg) > 0; {
		part := msg[:min(n, len(msg))]
		msg = msg[len(part):]
		out = append(out, 22, 3, 1, byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

// buildHello makes a ClientHello in one record with the given extensions.
func buildHello(t *testing.T, extensions func(*cryptobyte.Builder)) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddUint8(1)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16(0x0303)
		b.AddBytes(make([]byte, 32))
		b.AddUint8LengthPrefixed(func(*cryptobyte.Builder) {})
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(0x1301) })
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(0) })
		if extensions != nil {
			b.AddUint16LengthPrefixed(extensions)
		}
	})
	msg, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return cut(append(make([]byte, 5), msg...), 16<<10)
}

// names adds a server_name extension with these names.
func names(b *cryptobyte.Builder, list ...string) {
	b.AddUint16(extensionServerName)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, name := range list {
				b.AddUint8(0)
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
			}
		})
	})
}

func padding(b *cryptobyte.Builder, n int) {
	b.AddUint16(21)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(make([]byte, n)) })
}

func TestReadHello(t *testing.T) {
	tests := []struct {
		name string
		raw  []byte
		want hello
		err  error
	}{
		{"one name", buildHello(t, func(b *cryptobyte.Builder) { names(b, "allowed.test") }), hello{serverName: "allowed.test", hasName: true}, nil},
		{"no extensions", buildHello(t, nil), hello{}, nil},
		{"ECH", buildHello(t, func(b *cryptobyte.Builder) {
			names(b, "allowed.test")
			b.AddUint16(extensionECH)
			b.AddUint16(0)
		}), hello{serverName: "allowed.test", hasName: true, ech: true}, nil},
		{"12 KiB", buildHello(t, func(b *cryptobyte.Builder) { padding(b, 12<<10); names(b, "allowed.test") }), hello{serverName: "allowed.test", hasName: true}, nil},
		{"12 KiB in small records", cut(buildHello(t, func(b *cryptobyte.Builder) { padding(b, 12<<10); names(b, "allowed.test") }), 600), hello{serverName: "allowed.test", hasName: true}, nil},
		{"two names", buildHello(t, func(b *cryptobyte.Builder) { names(b, "allowed.test", "evil.test") }), hello{}, errHello},
		{"two extensions", buildHello(t, func(b *cryptobyte.Builder) { names(b, "allowed.test"); names(b, "evil.test") }), hello{}, errHello},
		{"empty name", buildHello(t, func(b *cryptobyte.Builder) { names(b, "") }), hello{}, errHello},
		{"empty list", buildHello(t, func(b *cryptobyte.Builder) { names(b) }), hello{}, errHello},
		{"too large", []byte{22, 3, 1, 0, 4, 1, 1, 0, 0}, hello{}, errHelloLarge},
		{"in too many records", cut(buildHello(t, func(b *cryptobyte.Builder) { padding(b, 15<<10) }), 1), hello{}, errHelloLarge},
		{"empty record", []byte{22, 3, 1, 0, 0}, hello{}, errHello},
		{"another message", []byte{22, 3, 1, 0, 4, 2, 0, 0, 0}, hello{}, errNotTLS},
		{"alert", tlsAlert(0), hello{}, errNotTLS},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), hello{}, errNotTLS},
		{"cut short", []byte{22, 3, 1, 0, 9, 1}, hello{}, io.ErrUnexpectedEOF},
		{"nothing", nil, hello{}, io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := bytes.NewReader(append(bytes.Clone(tt.raw), "what follows"...))
			if strings.Contains(tt.name, "cut") || tt.raw == nil {
				r = bytes.NewReader(tt.raw)
			}
			raw, h, err := readHello(r)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tt.want, h, cmp.AllowUnexported(hello{})); diff != "" {
				t.Errorf("hello (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(len(tt.raw), len(raw)); diff != "" {
				t.Errorf("bytes taken (-want +got):\n%s", diff)
			}
		})
	}
}
