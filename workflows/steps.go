// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"slices"
	"strings"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// stepScope is a list of steps: their ids, and which of them may be waited for.
type stepScope struct {
	ids   *ids
	known map[string]bool // as written: GitHub compares with case
}

// ConvertSteps makes steps of a token that r has read: those of a composite action too
// (the same function serves both in GitHub's runner). What is wrong is recorded in r; the
// result are the warnings beside the steps.
func ConvertSteps(r *syntax.Reader, t *syntax.Token) ([]*Step, []*syntax.Error) {
	c := converter{r: r}
	return c.steps(t), c.warningList
}

func (c *converter) steps(t *syntax.Token) []*Step {
	if !c.want(t, syntax.Sequence, "job steps") {
		return nil
	}
	scope := stepScope{newIDs(), map[string]bool{}}
	var steps []*Step
	for _, i := range t.Items {
		if s := c.step(i, scope); s != nil {
			steps = append(steps, s)
		}
	}
	for _, s := range steps {
		if s.ID == "" {
			s.ID = c.defaultID(s, scope)
		}
	}
	return steps
}

func (c *converter) defaultID(s *Step, scope stepScope) string {
	name := string(s.Kind)
	if s.Kind == UsesStep {
		name = usesID(s.Uses.Text)
	}
	scope.ids.segment("__" + name)
	id, ok := scope.ids.build(true, maxIDLength)
	if !ok {
		c.abort(s.Uses, "Unable to create a unique name")
	}
	return id
}

// usesID names a step by its action.
func usesID(uses string) string {
	if image, ok := strings.CutPrefix(uses, dockerPrefix); ok && image != "" {
		return image
	}
	if localAction(uses) {
		return "self"
	}
	if strings.HasPrefix(uses, "$/") {
		return "selfRepository"
	}
	if owner, repo, ok := actionRef(uses); ok {
		return owner + "/" + repo
	}
	return "run"
}

func localAction(uses string) bool {
	return strings.HasPrefix(uses, "./") || strings.HasPrefix(uses, `.\`)
}

// actionRef takes apart owner/repo[/path]@ref.
func actionRef(uses string) (owner, repo string, ok bool) {
	parts := strings.Split(uses, "@")
	path := strings.FieldsFunc(parts[0], func(r rune) bool { return r == '/' || r == '\\' })
	if len(parts) != 2 || parts[1] == "" || len(path) < 2 {
		return "", "", false
	}
	return path[0], path[1], true
}

func (c *converter) step(t *syntax.Token, scope stepScope) *Step {
	if !c.want(t, syntax.Mapping, "steps item") {
		return nil
	}
	s := &Step{Pos: t.Pos}
	var id, ifToken *syntax.Token
	for _, p := range t.Pairs {
		if !c.want(p.Key, syntax.String, "steps item key") {
			return nil
		}
		switch p.Key.Text {
		case "id":
			if id = p.Value; c.want(id, syntax.String, "steps item id") && id.Text != "" {
				if problem := scope.ids.known(id.Text); problem != "" {
					c.error(id, "%s", problem)
				} else {
					scope.known[id.Text] = true
				}
				s.ID = id.Text
			}
		case "if":
			if ifToken = p.Value; !c.wantScalar(ifToken, "steps item if") {
				return nil
			}
		default:
			c.stepKey(s, p.Key.Text, p.Value)
		}
	}
	c.finishStep(s, t, id, ifToken, scope)
	return s
}

func (c *converter) stepKey(s *Step, key string, v *syntax.Token) {
	scalar := func(to **syntax.Token) {
		if c.wantScalar(v, "steps item "+key) {
			*to = v
		}
	}
	switch key {
	case "continue-on-error":
		c.early(v, syntax.Bool, "step continue-on-error")
		scalar(&s.ContinueOnError)
	case "timeout-minutes":
		c.early(v, syntax.Number, "step timeout-minutes")
		scalar(&s.Timeout)
	case "env":
		c.early(v, syntax.Mapping, "environment")
		s.Env = v
	case "with":
		c.early(v, syntax.Mapping, "inputs")
		s.With = v
	case "name":
		scalar(&s.Name)
	case "run":
		s.Kind = RunStep
		scalar(&s.Run)
	case "shell":
		scalar(&s.Shell)
	case "working-directory":
		scalar(&s.Dir)
	case "uses":
		if s.Kind = UsesStep; c.want(v, syntax.String, "steps item uses") {
			s.Uses = v
		}
	default:
		c.backgroundStepKey(s, key, v)
	}
}

// backgroundStepKey takes the keys that start steps in the background and wait for them.
func (c *converter) backgroundStepKey(s *Step, key string, v *syntax.Token) {
	switch key {
	case "background":
		if c.want(v, syntax.Bool, "steps item background") {
			s.Background = v
		}
	case "wait":
		s.Kind, s.Wait = WaitStep, []*syntax.Token{v}
		if v.Kind != syntax.String && c.want(v, syntax.Sequence, "steps item wait") {
			s.Wait = slices.Clone(v.Items)
		}
	case "wait-all":
		if s.Kind = WaitAllStep; v.Kind != syntax.Null && c.want(v, syntax.Bool, "steps item wait-all") && !v.Bool {
			c.error(v, "The value of 'wait-all' must be true or omitted")
		}
	case "cancel":
		if s.Kind = CancelStep; c.want(v, syntax.String, "steps item cancel") {
			s.Cancel = v
		}
	case "parallel":
		s.Kind = ParallelStep
		s.Parallel = c.steps(v)
	}
}

func (c *converter) finishStep(s *Step, t, id, ifToken *syntax.Token, scope stepScope) {
	title := func(text string) {
		if s.Name == nil {
			s.Name = &syntax.Token{Kind: syntax.String, Text: text}
		}
	}
	switch s.Kind {
	case RunStep:
		s.If = c.condition(ifToken, ifStep)
	case UsesStep:
		s.If = c.condition(ifToken, ifStep)
		c.checkUses(s.Uses)
	case WaitStep:
		for _, w := range s.Wait {
			c.target(w, id, scope)
		}
		title("Wait")
	case WaitAllStep:
		title("Wait for all")
	case CancelStep:
		c.target(s.Cancel, id, scope)
		title("Cancel")
	case ParallelStep:
		c.checkParallel(s, t)
		title("Parallel group")
	default:
		c.want(nil, syntax.String, "steps item uses")
	}
}

func (c *converter) checkUses(t *syntax.Token) {
	if t == nil || strings.HasPrefix(t.Text, dockerPrefix) || localAction(t.Text) || strings.HasPrefix(t.Text, "$/") {
		return
	}
	if _, _, ok := actionRef(t.Text); !ok {
		c.error(t, "Expected format {org}/{repo}[/path]@ref. Actual '%s'", t.Text)
	}
}

// target checks the step that is waited for or cancelled.
func (c *converter) target(t, own *syntax.Token, scope stepScope) {
	switch {
	case !c.want(t, syntax.String, "steps item wait item"):
	case strings.HasPrefix(t.Text, "__"):
		c.error(t, "The identifier '%s' is invalid. IDs starting with '__' are reserved.", t.Text)
	case own != nil && expr.Fold(own.Text) == expr.Fold(t.Text):
		c.error(t, "Step '%s' cannot reference itself", own.Text)
	case !scope.known[t.Text]:
		c.error(t, "Step references unknown step ID '%s'", t.Text)
	}
}

func (c *converter) checkParallel(s *Step, t *syntax.Token) {
	for _, p := range s.Parallel {
		if p.Background != nil {
			c.error(t, "'background' is not allowed inside a parallel block. Steps in a parallel block are automatically run as background steps.")
		}
		switch p.Kind {
		case WaitStep, WaitAllStep, CancelStep:
			c.error(t, "'%s' is not allowed inside a parallel block.", p.Kind)
		case ParallelStep:
			c.error(t, "Nested 'parallel' blocks are not allowed.")
		case RunStep, UsesStep:
		}
	}
}
