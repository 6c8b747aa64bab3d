// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Stage says when an expression failed.
type Stage string

// The stages.
const (
	Lexing     Stage = "lexing"     // a word that is none
	Parsing    Stage = "parsing"    // a word in the wrong place, a name that is not known
	Evaluation Stage = "evaluation" // only with these values
)

// Problem is what is wrong with an expression, in GitHub's words.
type Problem string

// The problems. Those of evaluation have texts of their own.
const (
	UnexpectedSymbol Problem = "Unexpected symbol"
	UnexpectedEnd    Problem = "Unexpected end of expression"
	UnknownName      Problem = "Unrecognized named-value"
	UnknownFunction  Problem = "Unrecognized function"
	TooFewArguments  Problem = "Too few parameters supplied"
	TooManyArguments Problem = "Too many parameters supplied"
	EvenArguments    Problem = "Even number of parameters supplied, requires an odd number of parameters"
	TooLong          Problem = "Exceeded max expression length 21000"
	TooDeep          Problem = "Exceeded max expression depth 50"
)

// Error is what is wrong with an expression. Its text is GitHub's.
type Error struct {
	Stage   Stage
	Problem Problem
	Token   string // the text that is wrong; empty if it is the whole
	Offset  int    // where in Source it begins, or the function that failed; bytes, from 0
	Source  string // the expression

	err  error
	hint string
}

// Error is GitHub's message. It holds the expression, which is at most 21,000
// characters long.
func (e *Error) Error() string {
	if e.Token == "" {
		return string(e.Problem)
	}
	return fmt.Sprintf("%s: '%s'. Located at position %d within expression: %s", e.Problem, e.Token, e.Position(), e.Source)
}

// Unwrap returns the error of a Func.
func (e *Error) Unwrap() error { return e.err }

// Hint says what may have been meant; empty if nothing is near.
func (e *Error) Hint() string { return e.hint }

// Position is the place as GitHub counts it: UTF-16 units, from 1.
func (e *Error) Position() int { return units(e.Source[:e.Offset]) + 1 }

// elsewhere are the names of the language that some places have and others do not.
func elsewhere(p Problem) []string {
	if p == UnknownFunction {
		return []string{Always, Cancelled, Failure, Success, "hashFiles"}
	}
	return []string{"env", "github", "inputs", "job", "jobs", "matrix", "needs", "runner", "secrets", "steps", "strategy", "vars"}
}

// notHere is the hint for a name that is right, but not in this place: env in the if of
// a job, secrets in any if. Empty if it is none.
func notHere(p Problem, name string, here []string) string {
	i := slices.IndexFunc(elsewhere(p), func(s string) bool { return strings.EqualFold(s, name) })
	if i < 0 || len(here) == 0 {
		return ""
	}
	name = elsewhere(p)[i]
	if p == UnknownFunction {
		return name + "() cannot be used in this place"
	}
	return name + " cannot be used in this place, only " + strings.Join(slices.Sorted(slices.Values(here)), ", ")
}

// didYouMean is the hint for a name that is near.
func didYouMean(name string) string { return "did you mean " + strconv.Quote(name) + "?" }
