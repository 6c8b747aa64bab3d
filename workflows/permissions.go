// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"slices"
	"strings"

	"github.com/zviz/run/workflows/syntax"
)

// Level is what the token may do with a scope.
type Level string

// The levels; the zero value is none.
const (
	LevelNone  Level = "none"
	LevelRead  Level = "read"
	LevelWrite Level = "write"
)

func (l Level) rank() int { return max(0, slices.Index([]Level{LevelNone, LevelRead, LevelWrite}, l)) }

// Permissions are what the token of a job may do. A scope that is not named has the
// level All.
type Permissions struct {
	All    Level // of read-all and write-all; none for a map
	Scopes map[string]Level
}

// Level is the level of a scope.
func (p *Permissions) Level(scope string) Level {
	if l, ok := p.Scopes[scope]; ok {
		return l
	}
	if p.All == LevelWrite && (scope == "models" || scope == "vulnerability-alerts") {
		return LevelRead
	}
	if p.All == "" {
		return LevelNone
	}
	return p.All
}

// scopeOrder is GitHub's order in messages. The first thirteen are what read-all and
// write-all name there and in a template.
func scopeOrder() []string {
	return []string{
		"actions", "checks", "contents", "deployments", "discussions", "issues", "packages", "pages",
		"pull-requests", "repository-projects", "statuses", "security-events", "id-token",
		"artifact-metadata", "attestations", "code-quality", "copilot-requests", "drives", "models",
		"vulnerability-alerts",
	}
}

const namedByAll = 13

// listed are the scopes that are named, in GitHub's order.
func (p *Permissions) listed() []string {
	var list []string
	for i, s := range scopeOrder() {
		if _, named := p.Scopes[s]; named || p.All != "" && p.All != LevelNone && i < namedByAll {
			list = append(list, s)
		}
	}
	return list
}

func (c *converter) permissions(t *syntax.Token) *Permissions {
	if t.Kind == syntax.String {
		return &Permissions{All: Level(strings.TrimSuffix(t.Text, "-all"))}
	}
	p := &Permissions{Scopes: map[string]Level{}}
	if !c.want(t, syntax.Mapping, "permissions") {
		return p
	}
	for _, pair := range t.Pairs {
		if !c.want(pair.Key, syntax.String, "permissions.key") || !c.want(pair.Value, syntax.String, "permissions.value") {
			return p
		}
		p.Scopes[pair.Key.Text] = Level(pair.Value.Text)
	}
	return p
}

// policy is what a called workflow may ask for if no caller says.
func (c *converter) policy(trusted bool) *Permissions {
	if c.o.PermissionsPolicy == TokenRead {
		return &Permissions{Scopes: map[string]Level{"contents": LevelRead, "packages": LevelRead}}
	}
	p := &Permissions{All: LevelWrite, Scopes: map[string]Level{}}
	if !trusted {
		p.Scopes["id-token"] = LevelNone
	}
	return p
}

// checkPermissions refuses a called workflow, or a job of it, that asks for more than
// its caller has. GitHub calls the job by its name.
func (c *converter) checkPermissions(caller, job *Job, asked, most *Permissions) {
	if most == nil {
		most = c.policy(local(caller.Uses.Text))
	}
	var want, have []string
	for _, s := range asked.listed() {
		if a, m := asked.Level(s), most.Level(s); a.rank() > m.rank() {
			want = append(want, s+": "+string(a))
			have = append(have, s+": "+string(m))
		}
	}
	if len(want) == 0 {
		return
	}
	who := "workflow '" + caller.Uses.Text + "'"
	if job != nil {
		who = "nested job '" + job.Name.String() + "'"
	}
	c.error(caller.ID, "Error calling workflow '%s'. The %s is requesting '%s', but is only allowed '%s'.",
		caller.Uses.Text, who, strings.Join(want, ", "), strings.Join(have, ", "))
}
