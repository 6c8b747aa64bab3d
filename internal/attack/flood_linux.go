// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// TerminatedHost is an allowed host whose TLS the runner ends.
const TerminatedHost = "terminated.test"

// floods are attacks on the runner through its own doors: each one goes on for a
// time and says what it did. None of them gets anything; what they cost the
// runner, and another job beside it, is for the tests to look at.
func floods() map[string]func(time.Duration) (string, error) {
	return map[string]func(time.Duration) (string, error){
		"connections": floodConnections,
		"slow-hello":  func(long time.Duration) (string, error) { return dribbles(gatewayAddr+":443", "", clientHello(), long) },
		"slow-headers": func(long time.Duration) (string, error) {
			return dribbles(gatewayAddr+":80", "GET / HTTP/1.1\r\n", fatHeader(), long)
		},
		"fat-headers": func(long time.Duration) (string, error) {
			return dribbles(gatewayAddr+":80", fatHeader(), fatHeader(), long)
		},
		"second-headers": floodSecondHeaders,
		"half-connect": func(long time.Duration) (string, error) {
			return dribbles(proxyAddr, "CONNECT "+AllowedHost, ":443 HTTP/1.1\r\n", long)
		},
		"open-connect": func(long time.Duration) (string, error) {
			return dribbles(proxyAddr, "CONNECT "+AllowedHost+":443 HTTP/1.1\r\nHost: x\r\n\r\n", clientHello(), long)
		},
		"half-handshake": func(long time.Duration) (string, error) {
			return dribbles(gatewayAddr+":443", fragmented(helloFor(TerminatedHost, 600)), halfRecord, long)
		},
		"dns":     floodDNS,
		"calls":   floodCalls,
		"paths":   floodPaths,
		"streams": floodStreams,
		"output":  floodOutput,
	}
}

// Flood runs one flood.
func Flood(name, long string) (string, error) {
	d, err := time.ParseDuration(long)
	if err != nil {
		return "", err
	}
	f, ok := floods()[name]
	if !ok {
		return "", fmt.Errorf("no flood %q", name)
	}
	return f(d)
}

// FloodNames are what Flood knows.
func FloodNames() []string {
	var names []string
	for n := range floods() {
		names = append(names, n)
	}
	return names
}

// floodConnections opens a hundred thousand connections, to doors and to closed
// ports, and keeps the last thousands open.
func floodConnections(long time.Duration) (string, error) {
	const most, kept = 100_000, 4000
	ring := make([]int, kept)
	for i := range ring {
		ring[i] = -1
	}
	ports := []int{443, 4444, 80, 3128, 9}
	n := 0
	for end := time.Now().Add(long); n < most && time.Now().Before(end); n++ {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return "", err
		}
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return "", err
		}
		// Another address each time: a cap must not be a matter of the address.
		addr := [4]byte{203, 0, 113, byte(n)}
		if ports[n%len(ports)] == 3128 {
			addr = [4]byte{169, 254, 1, 1}
		}
		_ = unix.Connect(fd, &unix.SockaddrInet4{Port: ports[n%len(ports)], Addr: addr}) // EINPROGRESS
		if old := ring[n%kept]; old >= 0 {
			_ = unix.Close(old)
		}
		ring[n%kept] = fd
	}
	return fmt.Sprintf("%d connections", n), nil
}

// dribbles keeps two thousand connections, says first, and then one byte of the
// rest each second.
func dribbles(addr, first, rest string, long time.Duration) (string, error) {
	const width = 2000
	ctx, cancel := context.WithTimeoutCause(context.Background(), long, errors.New("enough"))
	defer cancel()
	var opened, ended atomic.Int64
	var wg sync.WaitGroup
	for i := range width {
		wg.Go(func() {
			pause(ctx, time.Duration(i)*time.Millisecond/4)
			for ctx.Err() == nil {
				if dribble(ctx, addr, first, rest) {
					opened.Add(1)
				}
				ended.Add(1)
				pause(ctx, 50*time.Millisecond)
			}
		})
	}
	wg.Wait()
	return fmt.Sprintf("%d connections, %d of them taken", ended.Load(), opened.Load()), nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// dribble reports whether the connection lived for a second.
func dribble(ctx context.Context, addr, first, rest string) bool {
	c, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp4", addr)
	if err != nil {
		return false
	}
	defer c.Close() //nolint:errcheck // the process ends
	if _, err := io.WriteString(c, first); err != nil {
		return false
	}
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, c)
		close(gone)
	}()
	for i := range len(rest) {
		if _, err := c.Write([]byte(rest[i : i+1])); err != nil {
			return i > 0
		}
		select {
		case <-gone:
			return i > 0
		case <-ctx.Done():
			return i > 0
		case <-time.After(time.Second):
		}
	}
	return true
}

// clientHello is what crypto/tls would say.
func clientHello() string { return helloFor(AllowedHost, 0) }

// halfRecord begins a record of a handshake, which is never whole.
const halfRecord = "\x16\x03\x03\x10\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// helloFor returns a ClientHello with a name and, as protocols, so many bytes of
// padding times sixteen.
func helloFor(name string, padding int) string {
	var protocols []string
	for i := range padding / 16 {
		protocols = append(protocols, fmt.Sprintf("padding-%0255d", i)[:250])
	}
	b := &said{}
	_ = tls.Client(b, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols}).HandshakeContext(context.Background())
	return b.String()
}

// said is a connection to nobody that keeps what is said.
type said struct {
	bytes.Buffer
	net.Conn
}

func (s *said) Write(b []byte) (int, error)      { return s.Buffer.Write(b) }
func (s *said) Read([]byte) (int, error)         { return 0, io.EOF }
func (s *said) Close() error                     { return nil }
func (s *said) SetDeadline(time.Time) error      { return nil }
func (s *said) SetWriteDeadline(time.Time) error { return nil }

// fragmented cuts the message of a record into records as small as the runner
// takes: it must keep them as they came.
func fragmented(record string) string {
	msg := record[5:]
	var b strings.Builder
	for step := 2; len(msg) > 0; {
		n := min(step, len(msg))
		b.Write([]byte{22, 3, 1, 0, byte(n)})
		b.WriteString(msg[:n])
		msg = msg[n:]
	}
	return b.String()
}

// fatHeader is 30 KiB of headers without an end.
func fatHeader() string {
	return "GET / HTTP/1.1\r\nHost: " + ForeignHost + "\r\n" + strings.Repeat("X-Fat: "+strings.Repeat("a", 991)+"\r\n", 30)
}

// floodSecondHeaders makes one request on each of a thousand connections, and
// then begins a second one that is fat and does not end.
func floodSecondHeaders(long time.Duration) (string, error) {
	return dribbles(gatewayAddr+":80", "GET / HTTP/1.1\r\nHost: "+ForeignHost+"\r\n\r\n"+fatHeader(), fatHeader(), long)
}

// floodDNS asks for allowed names, for others, and sends garbage, over UDP and
// by many connections over TCP.
func floodDNS(long time.Duration) (string, error) {
	end := time.Now().Add(long)
	var n atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			c, err := net.Dial("udp4", gatewayAddr+":53")
			if err != nil {
				return
			}
			defer c.Close() //nolint:errcheck // the process ends
			for i := 0; time.Now().Before(end); i++ {
				name := AllowedHost
				if i%2 == 1 {
					name = strconv.Itoa(i) + "." + strings.Repeat(strconv.Itoa(w), 50) + "." + ForeignHost
				}
				b, err := new(dns.Msg).SetQuestion(name+".", dns.TypeA).Pack()
				if err != nil {
					return
				}
				if i%7 == 0 {
					b = b[:len(b)/2]
				}
				_, _ = c.Write(b)
				n.Add(1)
			}
		})
	}
	wg.Go(func() { _, _ = dribbles(gatewayAddr+":53", "\x00", "\x20\x01\x02\x03", long) })
	wg.Wait()
	return fmt.Sprintf("%d questions", n.Load()), nil
}

// floodCalls makes refused system calls from 64 threads.
func floodCalls(long time.Duration) (string, error) {
	end := time.Now().Add(long)
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			runtime.LockOSThread()
			for i := 0; time.Now().Before(end); i++ {
				var errno error
				switch i % 3 {
				case 0:
					_, _, e := unix.Syscall(unix.SYS_PTRACE, 0, 0, 0)
					errno = e
				case 1:
					errno = unix.Unshare(unix.CLONE_NEWUSER)
				default:
					errno = unix.Mount("none", "/tmp", "tmpfs", 0, "")
				}
				if errno == nil {
					panic("a refused call was made")
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return fmt.Sprintf("%d calls", n.Load()), nil
}

// floodPaths asks the HTTP door for ever new long paths of a foreign host: each
// is evidence, and evidence takes memory.
func floodPaths(long time.Duration) (string, error) {
	end := time.Now().Add(long)
	var n atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				c, err := net.Dial("tcp4", gatewayAddr+":80")
				if err != nil {
					continue
				}
				_, _ = fmt.Fprintf(c, "GET /%d/%d/%s HTTP/1.1\r\nHost: %s\r\n\r\n", w, i, strings.Repeat("p", 1000), ForeignHost)
				_, _ = c.Read(make([]byte, 16))
				_ = c.Close()
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return fmt.Sprintf("%d requests", n.Load()), nil
}

// floodStreams asks for large files on as many streams of HTTP/2 as there are,
// on some connections, and reads none of them.
func floodStreams(long time.Duration) (string, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), long, errors.New("enough"))
	defer cancel()
	var answered, failed atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		protocols := new(http.Protocols)
		protocols.SetHTTP2(true)
		tr := &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp4", gatewayAddr+":443")
			},
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			Protocols:       protocols,
			HTTP2:           &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 10},
		}
		for range 250 {
			wg.Go(func() {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+TerminatedHost+"/large", nil)
				if err != nil {
					return
				}
				resp, err := tr.RoundTrip(req)
				if err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
					return
				}
				answered.Add(1)
				<-ctx.Done()
				_ = resp.Body.Close()
			})
		}
	}
	wg.Wait()
	return fmt.Sprintf("%d answered, %d refused", answered.Load(), failed.Load()), nil
}

// floodOutput writes as fast as it can.
func floodOutput(long time.Duration) (string, error) {
	b := bytes.Repeat([]byte("flood of output "), 1<<14)
	n := 0
	for end := time.Now().Add(long); time.Now().Before(end); {
		m, err := os.Stderr.Write(b)
		if err != nil {
			return "", err
		}
		n += m
	}
	return fmt.Sprintf("%d MiB", n>>20), nil
}
