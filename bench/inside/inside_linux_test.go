// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every work that the tools here allow is done, and leaves what it says.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	missing, err := prepare(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var orders []string
	for _, f := range fileWork() {
		if f.tool == "npm" || missing[f.tool] != "" { // npm takes seconds
			continue
		}
		orders = append(orders, f.name)
	}
	for _, c := range calls() {
		orders = append(orders, c.name)
	}
	var out bytes.Buffer
	for _, order := range orders {
		out.Reset()
		if err := serve(t.Context(), dir, strings.NewReader(order+"\n"), &out); err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(out.String())
		if len(words) != 2 || words[0] == "0" {
			t.Errorf("%s: got %q, want two numbers", order, out.String())
		}
		if strings.HasPrefix(order, "untar") {
			files, err := filepath.Glob(filepath.Join(dir, produced, "d*", "f*.js"))
			if err != nil || len(files) != 500 {
				t.Errorf("untar: %d files, %v", len(files), err)
			}
		}
	}
	if st, err := os.Stat(filepath.Join(dir, sample)); err != nil || st.Size() != sampleSize {
		t.Errorf("sample: %v, %v", st, err)
	}
	if err := serve(t.Context(), dir, strings.NewReader("no such work\n"), &out); err == nil {
		t.Error("an unknown order was taken")
	}
}
