// SPDX-License-Identifier: Apache-2.0

package actions_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor/actions"
)

func TestParseFolder(t *testing.T) {
	for s, want := range map[string]actions.Folder{
		"a/b=dir":             {Owner: "a", Repo: "b", Dir: "dir"},
		"a/b@v1=/x=y":         {Owner: "a", Repo: "b", Ref: "v1", Dir: "/x=y"},
		"a/b@release/v1=dir":  {Owner: "a", Repo: "b", Ref: "release/v1", Dir: "dir"},
		"a/b":                 {},
		"a/b=":                {},
		"a=dir":               {},
		"a/b/c=dir":           {},
		"a/b@=dir":            {},
		"a/..=dir":            {},
		"./a/b=dir":           {},
		"docker://a/b@v1=dir": {},
		"=dir":                {},
	} {
		got, err := actions.ParseFolder(s)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want.Dir != "") {
			t.Errorf("%s: %v %s", s, err, diff)
		}
	}
}
