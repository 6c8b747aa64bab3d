// SPDX-License-Identifier: Apache-2.0

package lock_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/action/lock"
)

// lines is how many lines YAML may see in a text. Its end is a line of its own for our
// library.
func lines(text string) int {
	n := 2
	for _, r := range text {
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
			n++
		}
	}
	return n
}

// FuzzParse: a file that is taken is the same when it is written and read again, all its
// pins have a full commit, and each is found by its key; one that is not has an error in
// its lines.
func FuzzParse(f *testing.F) {
	f.Add(body)
	f.Add(strings.Replace(body, "v0.0.2", "v0.0.1", 1))
	f.Add(entry("a/b@v1", "tag: v1, commit: sha1-"+one))
	f.Add("version: v0.0.2\nworkflows: {w.yml: [a/b@v1]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, errs := lock.Parse(lock.Path, text)
		if (file == nil) != (len(errs) > 0) || len(errs) > 10 {
			t.Fatalf("%v and %d errors", file, len(errs))
		}
		for _, e := range errs {
			if e.Line > lines(text) {
				t.Fatalf("line %d: %v", e.Line, e)
			}
		}
		if file == nil {
			return
		}
		written := file.Format()
		again, errs := lock.Parse(lock.Path, written)
		if len(errs) > 0 {
			t.Fatalf("%v in\n%s", errs[0], written)
		}
		if again.Format() != written {
			t.Fatalf("written twice:\n%s\n%s", written, again.Format())
		}
		sorted := cmpopts.SortSlices(strings.Compare)
		if diff := cmp.Diff(file, again, cmpopts.IgnoreFields(lock.Pin{}, "Line"), cmpopts.EquateEmpty(), sorted); diff != "" {
			t.Fatalf("(-first +second)\n%s", diff)
		}
		for _, w := range file.Workflows {
			locked, ok := file.Workflow(w.Path)
			if !ok {
				t.Fatalf("%q is not found", w.Path)
			}
			for _, key := range w.Pins {
				u, err := action.ParseUses(key)
				if err != nil {
					t.Fatal(err)
				}
				if pin, err := locked.Resolve(u, lock.At{}); err == nil && (pin == nil || len(pin.Commit) != 40 && len(pin.Commit) != 64) && !u.Workflow() {
					t.Fatalf("%s is %+v", key, pin)
				}
			}
		}
	})
}
