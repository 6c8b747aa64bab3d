// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
)

func descriptors(t *testing.T) int {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(dir)
}

// TestCloseLeavesNothing opens and closes networks, several at a time, and looks
// for what stays behind in this process and on the host.
func TestCloseLeavesNothing(t *testing.T) {
	testenv.NeedRoot(t)
	links := func() []string {
		list, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, l := range list {
			names = append(names, l.Name)
		}
		return names
	}
	hostNS, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	open := func() {
		n, err := Open(t.Context(), Config{ID: "j", Policy: Policy{Rules: []Rule{{Host: "allowed.test", Ports: []uint16{8443}}}}})
		if err != nil {
			t.Error(err)
			return
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
	open() // what is made once for the process
	before, linksBefore, goroutines := descriptors(t), links(), runtime.NumGoroutine()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				open()
			}
		})
	}
	wg.Wait()
	for range 1000 { // one that has handed on its last word may still be on its way out
		if runtime.NumGoroutine() <= goroutines {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines before, %d after", goroutines, n)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if diff := cmp.Diff(linksBefore, links()); diff != "" {
		t.Errorf("devices of the host (-before +after):\n%s", diff)
	}
	now, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hostNS, now); diff != "" {
		t.Errorf("namespace of the process (-before +after):\n%s", diff)
	}
}

// TestCloseFreesNamespaces holds handles to both namespaces of networks that are open
// and finds nothing behind them once the networks are closed. A handle keeps nothing
// alive (open_by_handle_at(2); of namespaces since Linux 6.18).
func TestCloseFreesNamespaces(t *testing.T) {
	testenv.NeedRoot(t)
	const fdNsfsRoot = -10003 // FD_NSFS_ROOT in include/uapi/linux/fcntl.h
	alive := func(h unix.FileHandle) bool {
		fd, err := unix.OpenByHandleAt(fdNsfsRoot, h, unix.O_RDONLY|unix.O_CLOEXEC)
		if err != nil {
			return false
		}
		_ = unix.Close(fd)
		return true
	}
	handle := func(fd int) unix.FileHandle {
		h, _, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH)
		if err != nil || !alive(h) {
			testenv.Missing(t, "no handles of namespaces here: %v", err)
		}
		return h
	}
	var handles []unix.FileHandle
	for range 20 {
		n, err := Open(t.Context(), Config{ID: "j", Policy: Policy{Rules: []Rule{{Host: "allowed.test"}}}})
		if err != nil {
			t.Fatal(err)
		}
		handles = append(handles, handle(int(n.cell.jobNS.Fd())))
		raw, err := n.cell.proxy.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			const siocgskns = 0x894C // the namespace of a socket, in include/uapi/linux/sockios.h
			ns, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, siocgskns, 0)
			if errno != 0 {
				t.Errorf("SIOCGSKNS: %v", errno)
				return
			}
			handles = append(handles, handle(int(ns)))
			_ = unix.Close(int(ns))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	left := 0
	for range 1000 { // the kernel takes them apart in its own time
		left = 0
		for _, h := range handles {
			if alive(h) {
				left++
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d of %d namespaces are still there", left, len(handles))
}

// TestCloseCutsConnections closes a network in use.
func TestCloseCutsConnections(t *testing.T) {
	j := openJob(t, nil)
	spliced := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "allowed.test", RootCAs: j.pool()})
	if err := spliced.Handshake(); err != nil {
		t.Fatal(err)
	}
	silent := j.dial("tcp", "169.254.1.1:443")
	idle := j.dial("tcp", "169.254.1.1:80")
	if err := j.n.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{spliced, silent, idle} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlives the network")
		}
	}
	j.want(Event{Verdict: VerdictAllow, Door: DoorTLS, Host: "allowed.test"})
	if c, err := j.dialErr("tcp", "169.254.1.1:443"); err == nil {
		c.Close()
		t.Error("a door outlives the network")
	}
}

func TestOpenCancelled(t *testing.T) {
	cause := errors.New("no more")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := Open(ctx, Config{}); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestConnectionsAreCapped(t *testing.T) {
	j := openJob(t, func(c *Config) { c.Policy.Limits.Connections = 2 })
	for range 2 {
		j.dial("tcp", "169.254.1.1:443")
	}
	for range 3 {
		over, err := j.dialErr("tcp", "169.254.1.1:443")
		if err != nil {
			continue // reset before it could look
		}
		_ = over.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadAll(over); !isReset(err) {
			t.Errorf("a connection over the cap: %v", err)
		}
		over.Close()
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Reason: ReasonLimit, Port: 443})
	j.untouched()
}

// TestJobsDoNotMeet runs two networks at the same time: each has the same
// addresses, and neither sees the other.
func TestJobsDoNotMeet(t *testing.T) {
	a, b := openJob(t, nil), openJob(t, nil)
	var l net.Listener
	err := a.inside(func() (err error) {
		l, err = net.Listen("tcp4", "0.0.0.0:8081")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, addr := range []string{"169.254.1.2:8081", "127.0.0.1:8081"} {
		if c, err := b.dialErr("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s: one job reaches the other", addr)
		}
	}
}

func BenchmarkOpenClose(b *testing.B) {
	testenv.NeedRoot(b)
	b.ReportAllocs()
	for b.Loop() {
		n, err := Open(b.Context(), Config{ID: "j"})
		if err != nil {
			b.Fatal(err)
		}
		if err := n.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadHello(b *testing.B) {
	raw := recordHello(b, &tls.Config{ServerName: "allowed.test"})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := readHello(strings.NewReader(string(raw))); err != nil {
			b.Fatal(err)
		}
	}
}

// What mode audit lets a job ask for, one host after the other, leaves few connections
// behind.
func TestIdleConnectionsAreBounded(t *testing.T) {
	const hosts = 200
	var open atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		default:
		}
	}
	server.Start()
	defer server.Close()
	j := openJob(t, func(c *Config) {
		c.Policy.Mode = ModeAudit
		for i := range hosts {
			c.Policy.Upstream.Hosts["h"+strconv.Itoa(i)+".test"] = server.Listener.Addr().String()
		}
	})
	client := j.client("169.254.1.1:80", false)
	for i := range hosts {
		if status, _ := do(t, client, get(t, "http://h"+strconv.Itoa(i)+".test/")); status != http.StatusOK {
			t.Fatalf("%d: %d", i, status)
		}
	}
	for deadline := soon(); open.Load() > idleMost; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open", open.Load())
		}
	}
}
