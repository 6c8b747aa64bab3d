// SPDX-License-Identifier: Apache-2.0

package expr

// Traced is what a part of an expression gives when it is evaluated alone.
type Traced struct {
	Text  string
	Value Value // nil with Err
	Err   error
}

// Trace evaluates each part that GitHub's library evaluates, which is more than we
// do: all but what a decided && or || leaves out.
func (e *Expr) Trace(env Env) []Traced {
	var all []Traced
	var visit func(n *node)
	visit = func(n *node) {
		if n.kind == nodeStar {
			return
		}
		alone := &Expr{src: e.src, root: n}
		v, err := alone.Eval(env)
		all = append(all, Traced{n.String(), v, err})
		for _, a := range n.args {
			visit(a)
			if n.kind == nodeBinary && (n.text == "&&" || n.text == "||") {
				v, err := (&Expr{src: e.src, root: a}).Eval(env)
				if err != nil || Truthy(v) == (n.text == "||") {
					break
				}
			}
		}
	}
	if e.root != nil {
		visit(e.root)
	}
	return all
}

// Tokens are the texts of the tokens of src, as far as it can be read, and whether
// each is a string.
func Tokens(src string) (texts []string, quoted []bool) {
	l := lexer{src: src, last: tokStart}
	for {
		t, ok, err := l.next()
		if !ok && err == nil {
			return texts, quoted
		}
		texts, quoted = append(texts, t.text), append(quoted, t.text[0] == '\'')
		if err != nil {
			return texts, quoted
		}
	}
}
