// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestErrorCodesAreListed: every stable code of an error is in help exit-codes.
func TestErrorCodesAreListed(t *testing.T) {
	code := regexp.MustCompile(`^(usage|policy|workspace|state|cache|secret|report|output|canary|layer|command|expression|workflow|run|internal)\.[a-z_]+$|^egress\.denied$`)
	file := regexp.MustCompile(`\.(yml|json|html)$`)
	seen := 0
	for _, dir := range []string{".", "../../../../executor"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatal(err, names)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				s, err := strconv.Unquote(lit.Value)
				if err != nil || !code.MatchString(s) || file.MatchString(s) {
					return true
				}
				seen++
				if !strings.Contains(helpExitCodes, "\n  "+s+" ") && !strings.HasSuffix(helpExitCodes, s) {
					t.Errorf("%s: the code %s is not in help exit-codes", name, s)
				}
				return true
			})
		}
	}
	if seen < 50 {
		t.Errorf("only %d codes were found", seen)
	}
}
