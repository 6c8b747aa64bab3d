// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"path"
	"strings"

	"github.com/zviz/run/workflows/expr"
)

// Occasion is why a run takes place, as far as this machine can say.
type Occasion struct {
	Event string // push
	Actor string // who runs it
	Repository
}

// Ref is github.ref: the branch of the work tree, for a pull request the merge that the
// forge would have made.
func (o Occasion) Ref() string {
	if strings.HasPrefix(o.Event, "pull_request") && o.Event != "pull_request_target" {
		return "refs/pull/1/merge"
	}
	return cmp.Or(o.Repository.Ref, "refs/heads/main")
}

// Payload is github.event of an event that nobody sent: what GitHub's webhooks have in
// the same place, as far as it is known. Source: docs.github.com, "Webhook events and
// payloads".
func (o Occasion) Payload() *expr.Object {
	text := func(name, value string) expr.Member { return expr.Member{Name: name, Value: expr.String(value)} }
	owner, name := path.Split(o.Name)
	owner = strings.TrimSuffix(owner, "/")
	branch := cmp.Or(o.Repository.Ref, "refs/heads/main")
	short := strings.TrimPrefix(branch, "refs/heads/")
	sender := expr.NewObject(text("login", o.Actor))
	repository := expr.NewObject(
		text("name", name), text("full_name", o.Name), expr.Member{Name: "owner", Value: expr.NewObject(text("login", owner), text("name", owner))},
		text("html_url", o.Server+"/"+o.Name), text("clone_url", o.Server+"/"+o.Name+".git"), text("default_branch", short),
		expr.Member{Name: "private", Value: expr.Bool(false)}, expr.Member{Name: "fork", Value: expr.Bool(false)},
	)
	members := []expr.Member{{Name: "repository", Value: repository}, {Name: "sender", Value: sender}}
	switch {
	case o.Event == "push":
		members = append(members,
			text("ref", branch), text("before", strings.Repeat("0", 40)), text("after", o.Commit),
			expr.Member{Name: "head_commit", Value: expr.NewObject(text("id", o.Commit))}, expr.Member{Name: "commits", Value: expr.NewArray()},
			expr.Member{Name: "pusher", Value: expr.NewObject(text("name", o.Actor))},
			expr.Member{Name: "created", Value: expr.Bool(false)}, expr.Member{Name: "deleted", Value: expr.Bool(false)}, expr.Member{Name: "forced", Value: expr.Bool(false)},
		)
	case strings.HasPrefix(o.Event, "pull_request"):
		side := func(ref string) expr.Value {
			return expr.NewObject(text("ref", ref), text("sha", o.Commit), expr.Member{Name: "repo", Value: repository})
		}
		members = append(members,
			text("action", "opened"), expr.Member{Name: "number", Value: expr.Number(1)},
			expr.Member{Name: "pull_request", Value: expr.NewObject(
				expr.Member{Name: "number", Value: expr.Number(1)}, text("state", "open"), text("title", ""), expr.Member{Name: "draft", Value: expr.Bool(false)},
				expr.Member{Name: "head", Value: side(short)}, expr.Member{Name: "base", Value: side(short)}, expr.Member{Name: "user", Value: sender},
			)},
		)
	case o.Event == "workflow_dispatch":
		members = append(members, text("ref", branch))
	}
	return expr.NewObject(members...)
}
