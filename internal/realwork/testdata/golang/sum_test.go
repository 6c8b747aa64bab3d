// SPDX-License-Identifier: Apache-2.0

package realwork

import (
	"io"
	"net"
	"os/exec"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
)

func TestSum(t *testing.T) {
	var mu sync.Mutex
	var got []int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			s := Sum([]int64{1, 2, 3})
			mu.Lock()
			defer mu.Unlock()
			got = append(got, s)
		})
	}
	wait.Wait()
	if diff := cmp.Diff([]int64{6, 6, 6, 6, 6, 6, 6, 6}, got); diff != "" {
		t.Error(diff)
	}
}

func TestServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.WriteString(c, norm.NFC.String("e\u0301"))
			_ = c.Close()
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(c); string(text) != "\u00e9" {
		t.Errorf("got %q", text)
	}
}

func TestChild(t *testing.T) {
	if out, err := exec.Command("sh", "-c", "echo child").Output(); err != nil || string(out) != "child\n" {
		t.Errorf("got %q, %v", out, err)
	}
}
