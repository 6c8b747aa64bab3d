// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Outside makes of the network namespace that it is called in a world in which
// every address answers: TLS, HTTP, a proxy, DNS, and an echo of datagrams. With
// it an attempt of the network succeeds without the sandbox and without a packet
// to anybody. It must be called in a namespace made for it.
func Outside() (stop func(), err error) {
	if devices, err := net.Interfaces(); err != nil || len(devices) > 3 || device() == "eth0" {
		return nil, errors.Join(errors.New("outside: not in a network namespace of its own"), err)
	}
	// ip-route(8), type local: any address is one of ours.
	for _, family := range [][2]string{{"-4", "0.0.0.0/0"}, {"-6", "::/0"}} {
		if out, err := exec.Command("ip", family[0], "route", "add", "local", family[1], "dev", "lo").CombinedOutput(); err != nil { // constants; it ends
			return nil, fmt.Errorf("ip route: %w: %s", err, out)
		}
	}
	if err := hostsFile(); err != nil {
		return nil, err
	}
	w := &world{}
	if err := w.open(); err != nil {
		w.close()
		return nil, err
	}
	return w.close, nil
}

type world struct {
	closers []io.Closer
	wg      sync.WaitGroup
}

func (w *world) close() {
	for _, c := range w.closers {
		_ = c.Close()
	}
	w.wg.Wait()
}

func (w *world) listen(port string) (net.Listener, error) {
	l, err := net.Listen("tcp", ":"+port) // every address is the point
	if err == nil {
		w.closers = append(w.closers, l)
	}
	return l, err
}

func (w *world) open() error {
	for _, port := range []string{"22", "853", "4444", "8081"} {
		l, err := w.listen(port)
		if err != nil {
			return err
		}
		w.wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		})
	}
	cert, err := SelfSigned()
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	for port, config := range map[string]*tls.Config{"80": nil, "443": config, "3128": nil} {
		l, err := w.listen(port)
		if err != nil {
			return err
		}
		s := &http.Server{
			Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { serveAny(rw, r, cert) }), ReadHeaderTimeout: patience,
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		}
		if config != nil {
			l = tls.NewListener(l, config)
		}
		w.closers = append(w.closers, s)
		w.wg.Go(func() { _ = s.Serve(l) })
	}
	return w.datagrams()
}

func (w *world) datagrams() error {
	l, err := w.listen("53")
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp4", ":53") // every address is the point
	if err != nil {
		return err
	}
	w.closers = append(w.closers, u)
	for _, s := range []*dns.Server{{Listener: l}, {PacketConn: u}} {
		s.Handler = dns.HandlerFunc(func(rw dns.ResponseWriter, m *dns.Msg) {
			_ = rw.WriteMsg(new(dns.Msg).SetReply(m)) // the client may be gone
		})
		w.wg.Go(func() { _ = s.ActivateAndServe() })
	}
	for _, port := range []string{"443", "9999"} {
		c, err := net.ListenPacket("udp4", ":"+port) // every address is the point
		if err != nil {
			return err
		}
		w.closers = append(w.closers, c)
		w.wg.Go(func() {
			b := make([]byte, 2048)
			for {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = c.WriteTo(b[:n], from)
			}
		})
	}
	return nil
}

// serveAny answers every request, and a CONNECT with a TLS server at its end.
func serveAny(rw http.ResponseWriter, r *http.Request, cert tls.Certificate) {
	h, ok := rw.(http.Hijacker)
	if r.Method != http.MethodConnect || !ok {
		return
	}
	c, _, err := h.Hijack()
	if err != nil {
		return
	}
	defer c.Close() //nolint:errcheck // the client is done
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err == nil {
		_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}).HandshakeContext(r.Context())
	}
}

// SelfSigned returns one for any name, by nobody.
func SelfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"*.test"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// ServeTLS answers TLS with any name on an address of the loopback.
func ServeTLS(addr string) (at string, stop func(), err error) {
	cert, err := SelfSigned()
	if err != nil {
		return "", nil, err
	}
	l, err := tls.Listen("tcp4", addr, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: patience, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	return l.Addr().String(), func() { _ = s.Close(); wg.Wait() }, nil
}
