// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/expr/jsonl"
)

// exprOptions are the flags of expr.
type exprOptions struct {
	context string
	jsonl   bool
	json    bool
}

func (a app) exprCommand() *cobra.Command {
	o := &exprOptions{}
	cmd := &cobra.Command{
		Use:     "expr EXPR",
		Short:   "Evaluate an expression of GitHub Actions",
		GroupID: "look",
		Long: `expr evaluates an expression, written without ${{ }}, and prints its value as JSON.
Nothing is run, and no file is read but the one of --context.

FILE holds one JSON object; its members are the contexts, and only those may be
named: {"github": {"ref": "refs/heads/main"}, "matrix": {"os": "linux"}}. The
functions are those of the language. success(), failure(), cancelled() and
always() depend on a job, hashFiles() on its workspace; they are not known here.

What JSON cannot hold prints as null: NaN and the infinities. An expression that
begins with - goes behind --.

With --jsonl each line of standard input is a question and gets a line as answer:
  {"id":1,"expr":"github.ref == 'x'","contexts":{"github":{"ref":"X"}}}
  {"id":1,"ok":true,"kind":"Boolean","value":true,"string":"true","truthy":true}
  {"id":2,"expr":"a b"}
  {"id":2,"ok":false,"stage":"parsing","error":"Unrecognized named-value: 'a'. …"}
A question may give constant values for functions: "functions": {"success": true}.

Exit code: 0 if there is a value, 1 if the expression is wrong.`,
		Example: `  zviz-runner expr "contains('Hello', 'hell')"
  zviz-runner expr "github.event.*.name" --context contexts.json
  zviz-runner expr --jsonl < questions.jsonl`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.jsonl {
				return noArgs(cmd, args)
			}
			if len(args) == 1 {
				return nil
			}
			return failure{
				Code: "usage.argument", What: fmt.Sprintf("expr takes one expression, got %d arguments", len(args)), Exit: exitUsage,
				Fix: `quote it: zviz-runner expr "1 == 2"`,
			}
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if !o.jsonl {
				return a.expr(args[0], o.context)
			}
			if o.context != "" {
				return failure{
					Code: "usage.argument", What: "--context does not go with --jsonl: each question has its own", Exit: exitUsage,
					Fix: `echo '{"expr":"a.b","contexts":{"a":{"b":1}}}' | zviz-runner expr --jsonl`,
				}
			}
			return a.answers()
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.context, "context", "", "JSON `file` with the contexts; - is standard input")
	f.BoolVar(&o.jsonl, "jsonl", false, "answer questions, one line of JSON each")
	f.BoolVar(&o.json, "json", false, "print an error as JSON; a value always is")
	return cmd
}

func (a app) expr(src, file string) error {
	contexts, err := a.contexts(file)
	if err != nil {
		return err
	}
	x, err := expr.Parse(src, expr.Options{Contexts: contexts.Names()})
	if err != nil {
		f := wrongExpression(err)
		if strings.Contains(src, "${{") {
			f.Fix = "write the expression without ${{ }}"
		}
		return f
	}
	v, err := x.Eval(expr.Env{Contexts: contexts.Values()})
	if err != nil {
		return wrongExpression(err)
	}
	return printLine(a.Out, string(jsonl.AppendValue(nil, finite(v))))
}

// wrongExpression describes an error of an expression, with its place.
func wrongExpression(err error) failure {
	f := failure{Code: "expression.invalid", What: err.Error(), Exit: exitFailed, err: err}
	if e, ok := errors.AsType[*expr.Error](err); ok {
		f.Fix = e.Hint()
		if e.Token == "" && e.Source != "" {
			f.Why = "at position " + strconv.Itoa(e.Position()) + " of the expression"
		}
	}
	return f
}

// contexts reads the file of --context.
func (a app) contexts(name string) (jsonl.Contexts, error) {
	if name == "" {
		return jsonl.ParseContexts("")
	}
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(a.In)
	} else {
		text, err = os.ReadFile(name)
	}
	if err == nil {
		var c jsonl.Contexts
		if c, err = jsonl.ParseContexts(string(text)); err == nil {
			return c, nil
		}
		err = fmt.Errorf("%s: %w", name, err)
	}
	return jsonl.Contexts{}, failure{
		Code: "usage.argument", What: "--context: " + err.Error(), Exit: exitUsage, err: err,
		Fix: `it holds one JSON object: {"github": {"ref": "refs/heads/main"}}`,
	}
}

// finite puts null in the place of numbers that JSON cannot hold.
func finite(v expr.Value) expr.Value {
	switch v := v.(type) {
	case expr.Number:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return expr.Null{}
		}
		return v + 0 // -0 is 0
	case *expr.Array:
		var items []expr.Value
		for _, item := range v.All() {
			items = append(items, finite(item))
		}
		return expr.NewArray(items...)
	case *expr.Object:
		var list []expr.Member
		for name, item := range v.All() {
			list = append(list, expr.Member{Name: name, Value: finite(item)})
		}
		return expr.NewExactObject(list...)
	default:
		return v
	}
}

// answers answers each line of standard input, until it ends.
func (a app) answers() error {
	in, out := bufio.NewReader(a.In), bufio.NewWriter(a.Out)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("standard input: %w", err)
		}
		if len(line) > 0 && !blank(line) {
			if _, werr := out.Write(append(jsonl.Answer(line), '\n')); werr != nil {
				return werr
			}
		}
		// Whoever asks one by one waits for the answer.
		if in.Buffered() == 0 || err != nil {
			if werr := out.Flush(); werr != nil {
				return werr
			}
		}
		if err != nil {
			return nil //nolint:nilerr // the end of the input
		}
	}
}

func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}
