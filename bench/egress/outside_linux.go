// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// The descriptors of the outside's listeners: one pair in the host's namespace,
// where the gateway dials, and one at the end of a veth, for who comes directly.
const (
	rawNear = iota
	tlsNear
	rawVeth
	tlsVeth
	listeners
)

// identity is the outside's certificate, which is its own CA.
type identity struct {
	Cert []byte
	Key  []byte
}

func newIdentity(hosts ...string) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: hosts, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return identity{}, err
	}
	k, err := x509.MarshalECPrivateKey(key)
	return identity{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: k}),
	}, err
}

// outside serves until its stdin ends, with the listeners that it was given.
func outside(stdin io.Reader) error {
	decoder := json.NewDecoder(stdin)
	var id identity
	if err := decoder.Decode(&id); err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(id.Cert, id.Key)
	if err != nil {
		return err
	}
	for i := range listeners {
		l, err := net.FileListener(os.NewFile(uintptr(3+i), "listener"))
		if err != nil {
			return err
		}
		if i == rawNear || i == rawVeth {
			go serveRaw(l)
			continue
		}
		server := &http.Server{Handler: http.HandlerFunc(serveBytes), TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.ServeTLS(l, "", "") }()
	}
	_, err = io.Copy(io.Discard, stdin)
	return err
}

func block() []byte { return make([]byte, 256<<10) }

// serveRaw answers a ClientHello, whatever is in it, with as many bytes as the
// random of it says: what is measured is the copying alone.
func serveRaw(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }() // the client has what it wanted
			hello := make([]byte, len(rawHello("", 0)))
			if _, err := io.ReadFull(c, hello); err != nil {
				return
			}
			n, buf := rawSize(hello), block()
			for n > 0 {
				m, err := c.Write(buf[:min(int64(len(buf)), n)])
				if err != nil {
					return
				}
				n -= int64(m)
			}
		}()
	}
}

// serveBytes answers GET /N with N bytes.
func serveBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.URL.Path[1:], 10, 64)
	if err != nil {
		http.Error(w, "want /N", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	buf := block()
	for n > 0 {
		m, err := w.Write(buf[:min(int64(len(buf)), n)])
		if err != nil {
			return
		}
		n -= int64(m)
	}
}

// rawHello is a ClientHello for a host of splicedHost's length, with n in its
// random.
func rawHello(host string, n int64) []byte {
	name := fmt.Sprintf("%-*s", len(splicedHost), host)
	list := append([]byte{0, 0, byte(len(name))}, name...) // of type host_name
	list[1] = byte(len(name) >> 8)
	ext := append([]byte{0, 0, 0, byte(len(list) + 2), 0, byte(len(list))}, list...)
	body := []byte{3, 3}
	random := make([]byte, 32)
	for i := range 8 {
		random[i] = byte(n >> (8 * i))
	}
	body = append(body, random...)
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0) // no session, one suite, no compression
	body = append(body, 0, byte(len(ext)))
	body = append(body, ext...)
	message := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return append([]byte{22, 3, 1, byte(len(message) >> 8), byte(len(message))}, message...)
}

func rawSize(hello []byte) (n int64) {
	for i := range 8 {
		n |= int64(hello[5+4+2+i]) << (8 * i)
	}
	return n
}
