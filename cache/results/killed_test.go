// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// killedDir makes the test binary the runner that TestKilled kills.
const killedDir = "ZVIZ_TEST_KILLED_DIR"

func killedData(i int) []byte { return bytes.Repeat([]byte(strconv.Itoa(i)+"\n"), 20_000) }

// TestKilledRunner uploads without end, for TestKilled.
func TestKilledRunner(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		t.Skip("is run by TestKilled")
	}
	r, err := Open(Config{Dir: dir, FreeBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	j, err := r.Job("a")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(j)
	c := &client{t, r, j, s.URL, j.Token()}
	for i := 0; ; i++ {
		data, name := killedData(i), "a"+strconv.Itoa(i)
		address := c.create(name)
		fmt.Println("at", i)
		half := len(data) / 2
		want(t, 201)(c.block(address, 1, data[half:]))
		fmt.Println("at", i)
		want(t, 201)(c.block(address, 0, data[:half]))
		want(t, 201)(c.list(address, "Latest", 0, 1))
		fmt.Println("at", i)
		wantCall(t, 200, "")(c.finalize(name, data))
		if i%3 == 0 {
			wantCall(t, 200, "")(c.call("DeleteArtifact", map[string]any{"name": name}))
		}
		fmt.Println("at", i)
	}
}

// TestKilled: wherever a runner is killed, what is in the folder is whole, and the next
// run takes the folder and finds nothing left.
func TestKilled(t *testing.T) {
	seen := 0
	for round := range 12 {
		dir := filepath.Join(t.TempDir(), "out")
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledRunner$")
		cmd.Env = append(os.Environ(), killedDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 1 + rand.IntN(60) {
			if !lines.Scan() {
				t.Fatal("the runner ended")
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		for name, text := range files(t, dir) {
			i, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "a"), ".zip"))
			if err != nil || text != string(killedData(i)) {
				t.Errorf("round %d: %s has %d bytes: %v", round, name, len(text), err)
			}
			seen++
		}
		r := open(t, Config{Dir: dir})
		if left, _ := filepath.Glob(filepath.Join(dir, tempPrefix+"*", "*")); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
		c := newClient(t, r, "a")
		c.upload("a1", killedData(1))
	}
	if seen == 0 {
		t.Error("no round finished an artifact")
	}
}
