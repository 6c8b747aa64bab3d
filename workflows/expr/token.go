// SPDX-License-Identifier: Apache-2.0

package expr

// tokenKind is a set of one kind of token, so that sets of them are cheap.
type tokenKind uint32

const (
	tokStart      tokenKind = 1 << iota // before the first one
	tokOpenGroup                        // ( of a group
	tokCloseGroup                       // )
	tokOpenCall                         // ( of a call
	tokCloseCall                        // )
	tokOpenIndex                        // [
	tokCloseIndex                       // ]
	tokComma
	tokDot
	tokNot      // !
	tokOperator // with two sides
	tokStar
	tokLiteral
	tokProperty // a name after a dot
	tokFunction // a name before (
	tokName     // of a context
	tokBad
)

const (
	// An operand may stand after these.
	beforeOperand = tokStart | tokComma | tokOpenGroup | tokOpenCall | tokOpenIndex | tokNot | tokOperator
	// An index may stand after these: what may hold others.
	indexable = tokCloseGroup | tokCloseCall | tokCloseIndex | tokStar | tokProperty | tokName
	// After these an operand is complete.
	operandEnd = indexable | tokLiteral
)

// mayFollow is what a token of kind k may stand after.
func mayFollow(k tokenKind) tokenKind {
	switch k {
	case tokOpenGroup, tokNot, tokLiteral, tokFunction, tokName:
		return beforeOperand
	case tokOpenIndex, tokDot:
		return indexable
	case tokOpenCall:
		return tokFunction
	case tokCloseCall:
		return operandEnd | tokOpenCall
	case tokCloseGroup, tokCloseIndex, tokComma, tokOperator:
		return operandEnd
	case tokStar:
		return tokOpenIndex | tokDot
	case tokProperty:
		return tokDot
	default:
		return 0
	}
}

// opener is the bracket that must be open for a token of kind k; 0 for any.
func opener(k tokenKind) tokenKind {
	switch k {
	case tokCloseGroup:
		return tokOpenGroup
	case tokCloseIndex:
		return tokOpenIndex
	case tokCloseCall, tokComma:
		return tokOpenCall
	default:
		return 0
	}
}

type token struct {
	kind   tokenKind
	text   string // as written
	offset int    // bytes
	value  Value  // of a literal
}

// endsBad reports whether an expression cannot end with the token.
func (t token) endsBad() bool { return t.kind&operandEnd == 0 }
