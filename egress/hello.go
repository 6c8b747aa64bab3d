// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
)

const (
	helloMost    = 16 << 10 // of the message; a Go 1.26 hello with ML-KEM has 1.5 KiB
	helloRawMost = 64 << 10 // of the records it is cut into

	recordAlert     = 21 // RFC 8446 section 5.1
	recordHandshake = 22
	recordMost      = 16 << 10

	extensionServerName = 0
	extensionECH        = 0xfe0d // RFC 9849

	alertDecodeError      = 50
	alertInternalError    = 80
	alertUnrecognizedName = 112
)

var (
	errNotTLS     = errors.New("not TLS")
	errHelloLarge = errors.New("ClientHello is too large")
	errHello      = errors.New("malformed ClientHello")
)

// hello is what we need of a ClientHello.
type hello struct {
	serverName string // as sent; empty if there is none
	hasName    bool
	ech        bool
}

// readHello reads a ClientHello and returns the raw bytes that it took. It never
// reads beyond the last record of the message.
func readHello(r io.Reader) (raw []byte, h hello, err error) {
	var msg []byte
	for {
		head := len(raw)
		raw = append(raw, make([]byte, 5)...)
		if _, err := io.ReadFull(r, raw[head:]); err != nil {
			return raw[:head], hello{}, fmt.Errorf("read record: %w", err)
		}
		length := int(binary.BigEndian.Uint16(raw[head+3:]))
		if raw[head] != recordHandshake || raw[head+1] != 3 {
			return raw, hello{}, errNotTLS
		}
		if length == 0 || length > recordMost {
			return raw, hello{}, fmt.Errorf("%w: record of %d bytes", errHello, length)
		}
		if len(raw)+length > helloRawMost {
			return raw, hello{}, errHelloLarge
		}
		body := len(raw)
		raw = append(raw, make([]byte, length)...)
		if _, err := io.ReadFull(r, raw[body:]); err != nil {
			return raw[:body], hello{}, fmt.Errorf("read record: %w", err)
		}
		msg = append(msg, raw[body:]...)
		if msg[0] != 1 { // client_hello
			return raw, hello{}, errNotTLS
		}
		if len(msg) < 4 {
			continue
		}
		want := 4 + int(msg[1])<<16 + int(msg[2])<<8 + int(msg[3])
		switch {
		case want > helloMost:
			return raw, hello{}, errHelloLarge
		case len(msg) > want:
			return raw, hello{}, fmt.Errorf("%w: %d bytes after it", errHello, len(msg)-want)
		case len(msg) == want:
			h, err := parseHello(msg[4:])
			return raw, h, err
		}
	}
}

// parseHello reads the body of a ClientHello (RFC 8446 section 4.1.2).
func parseHello(body []byte) (hello, error) {
	s := cryptobyte.String(body)
	var version uint16
	var random []byte
	var session, suites, compression, extensions cryptobyte.String
	if !s.ReadUint16(&version) || !s.ReadBytes(&random, 32) ||
		!s.ReadUint8LengthPrefixed(&session) || len(session) > 32 ||
		!s.ReadUint16LengthPrefixed(&suites) || len(suites) == 0 || len(suites)%2 != 0 ||
		!s.ReadUint8LengthPrefixed(&compression) || len(compression) == 0 {
		return hello{}, errHello
	}
	if s.Empty() {
		return hello{}, nil // no extensions: TLS 1.2 and older
	}
	if !s.ReadUint16LengthPrefixed(&extensions) || !s.Empty() {
		return hello{}, errHello
	}
	var h hello
	seen := map[uint16]bool{}
	for !extensions.Empty() {
		var kind uint16
		var data cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&data) || seen[kind] {
			return hello{}, errHello
		}
		seen[kind] = true
		switch kind {
		case extensionServerName:
			name, err := parseServerName(data)
			if err != nil {
				return hello{}, err
			}
			h.serverName, h.hasName = name, true
		case extensionECH:
			h.ech = true
		}
	}
	return h, nil
}

// parseServerName reads the extension of RFC 6066 section 3: one name, of the
// one type that exists.
func parseServerName(data cryptobyte.String) (string, error) {
	var list, name cryptobyte.String
	var kind uint8
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() ||
		!list.ReadUint8(&kind) || kind != 0 || !list.ReadUint16LengthPrefixed(&name) || len(name) == 0 {
		return "", errHello
	}
	if !list.Empty() {
		return "", fmt.Errorf("%w: more than one server name", errHello)
	}
	return string(name), nil
}

// tlsAlert is a fatal alert in a record of its own.
func tlsAlert(code byte) []byte { return []byte{recordAlert, 3, 1, 0, 2, 2, code} }
