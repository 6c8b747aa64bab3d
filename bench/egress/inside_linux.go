// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// order is what a client is to do.
type order struct {
	Kind  string // raw, tls, dns, many
	Addr  string
	Host  string
	N     int64 // bytes, questions, or connections
	H2    bool
	Roots []byte
}

// answer is what came of it.
type answer struct {
	Seconds float64
	Micros  []float64 // of each question
	Err     string
}

// inside does what it is told until its stdin ends.
func inside(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	in, out := json.NewDecoder(bufio.NewReader(stdin)), json.NewEncoder(stdout)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var a answer
		begin := time.Now()
		err := o.do(ctx, &a)
		a.Seconds = time.Since(begin).Seconds()
		if err != nil {
			a.Err = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func (o order) do(ctx context.Context, a *answer) error {
	switch o.Kind {
	case "raw":
		return o.raw(ctx)
	case "tls":
		return o.tls(ctx)
	case "dns":
		return o.dns(ctx, a)
	case "many":
		return o.many(ctx)
	default:
		return fmt.Errorf("bug: kind %q", o.Kind)
	}
}

func (o order) raw(ctx context.Context) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", o.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // all was read
	if _, err := c.Write(rawHello(o.Host, o.N)); err != nil {
		return err
	}
	n, err := discard(c)
	if err == nil && n != o.N {
		err = fmt.Errorf("%d bytes of %d", n, o.N)
	}
	return err
}

// discard reads into memory, as a client does that looks at what it gets: io.Discard
// would take small pieces.
func discard(r io.Reader) (n int64, err error) {
	buf := block()
	for {
		m, err := r.Read(buf)
		n += int64(m)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func (o order) config() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.Roots)
	return &tls.Config{RootCAs: roots, ServerName: o.Host, MinVersion: tls.VersionTLS12}
}

func (o order) tls(ctx context.Context) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!o.H2)
	protocols.SetHTTP2(o.H2)
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, o.Addr)
		},
		TLSClientConfig: o.config(), Protocols: protocols, DisableCompression: true, ReadBufferSize: 64 << 10,
	}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/%d", o.Host, o.N), nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: tr}).Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // all was read
	n, err := discard(resp.Body)
	if err == nil && (n != o.N || resp.StatusCode != http.StatusOK) {
		err = fmt.Errorf("status %d, %d bytes of %d", resp.StatusCode, n, o.N)
	}
	return err
}

// dns asks one question after another over one socket.
func (o order) dns(ctx context.Context, a *answer) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", o.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // all was read
	buf := make([]byte, 512)
	for range o.N {
		q, err := new(dns.Msg).SetQuestion(o.Host+".", dns.TypeA).Pack()
		if err != nil {
			return err
		}
		if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		begin := time.Now()
		if _, err := c.Write(q); err != nil {
			return err
		}
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		a.Micros = append(a.Micros, float64(time.Since(begin).Nanoseconds())/1000)
		var m dns.Msg
		if err := m.Unpack(buf[:n]); err != nil || len(m.Answer) != 1 {
			return fmt.Errorf("answer to %s: %v %w", o.Host, m.Rcode, err)
		}
	}
	return nil
}

// many opens N connections as fast as it can, has a request over each once all of
// them are open, and closes them.
func (o order) many(ctx context.Context) error {
	config := o.config()
	config.NextProtos = []string{"http/1.1"}
	open := make([]*tls.Conn, o.N)
	errs := make([]error, o.N)
	each := func(do func(i int) error) error {
		var wg sync.WaitGroup
		for i := range open {
			wg.Go(func() { errs[i] = do(i) })
		}
		wg.Wait()
		failed, first := 0, error(nil)
		for _, err := range errs {
			if err != nil {
				failed, first = failed+1, err
			}
		}
		if failed > 0 {
			return fmt.Errorf("%d of %d connections: %w", failed, o.N, first)
		}
		return nil
	}
	err := each(func(i int) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", o.Addr)
		if err != nil {
			return err
		}
		open[i] = tls.Client(c, config)
		return open[i].HandshakeContext(ctx)
	})
	if err == nil {
		err = each(func(i int) error {
			if _, err := io.WriteString(open[i], "GET /1024 HTTP/1.1\r\nHost: "+o.Host+"\r\n\r\n"); err != nil {
				return err
			}
			resp, err := http.ReadResponse(bufio.NewReader(open[i]), nil)
			if err != nil {
				return err
			}
			defer func() { _ = resp.Body.Close() }() // all was read
			n, err := discard(resp.Body)
			if err == nil && n != 1024 {
				err = fmt.Errorf("%d bytes", n)
			}
			return err
		})
	}
	for _, c := range open {
		if c != nil {
			_ = c.Close() // nothing is lost with it
		}
	}
	return err
}
