// SPDX-License-Identifier: Apache-2.0

package run

import (
	"maps"
	"slices"
	"strings"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

// facts are the members of the github context that the repository says.
func (r *runner) facts() []expr.Member {
	repo := r.q.Repository
	owner, _, _ := strings.Cut(repo.Name, "/")
	ref := r.q.Plan.Event.Ref
	api, graphql := repo.Server+"/api/v1", repo.Server+"/api/graphql"
	if repo.Server == "https://github.com" {
		api, graphql = "https://api.github.com", "https://api.github.com/graphql"
	}
	texts := map[string]string{
		"repository": repo.Name, "repository_owner": owner, "repositoryUrl": strings.Replace(repo.Server, "https:", "git:", 1) + "/" + repo.Name + ".git",
		"sha": repo.Commit, "workspace": job.Workspace(repo.Name),
		"server_url": repo.Server, "api_url": api, "graphql_url": graphql,
		"run_id": "1", "run_number": "1", "run_attempt": "1", "retention_days": "0",
		"workflow_ref": repo.Name + "/" + r.q.Path + "@" + ref, "workflow_sha": repo.Commit,
		"secret_source": "Actions", "token": r.token(),
		"actor_id": r.id("sender"), "repository_id": r.id("repository"), "repository_owner_id": r.id("repository", "owner"),
	}
	var list []expr.Member
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		list = append(list, expr.Member{Name: name, Value: expr.String(texts[name])})
	}
	return append(list, expr.Member{Name: "ref_protected", Value: expr.Bool(false)})
}

// id is the number of something in the event's payload, as text. One that the payload does
// not say is 1: scripts want a number.
func (r *runner) id(path ...string) string {
	var v expr.Value = r.q.Plan.Event.Payload
	for _, name := range append(path, "id") {
		o, ok := v.(*expr.Object)
		if !ok || o == nil {
			return "1"
		}
		v, _ = o.Get(name)
	}
	if n, ok := v.(expr.Number); ok {
		return expr.ToString(n)
	}
	return "1"
}

// workflowOf are the members of the job context that say which file the job is from: a
// called one, where github.workflow_ref is the caller's.
func (r *runner) workflowOf(j *plan.Job) []expr.Member {
	repo, file, ref, sha := r.q.Repository.Name, r.q.Path, r.q.Plan.Event.Ref, r.q.Repository.Commit
	if u, err := action.ParseUses(j.Workflow); err == nil {
		file = u.Path
		if u.Kind == action.Remote {
			repo, ref = u.Owner+"/"+u.Repo, u.Ref
			sha = "" // of a branch or tag: it was looked up elsewhere
			if commit, ok := u.Commit(); ok {
				sha = commit
			}
		}
	}
	var list []expr.Member
	for _, m := range [][2]string{
		{"workflow_ref", repo + "/" + file + "@" + ref}, {"workflow_sha", sha}, {"workflow_repository", repo}, {"workflow_file_path", file},
	} {
		list = append(list, expr.Member{Name: m[0], Value: expr.String(m[1])})
	}
	return list
}

// stepDebug asks for debug lines, if it is true: a secret, or a variable (docs, "Enabling
// debug logging").
const stepDebug = "ACTIONS_STEP_DEBUG"

// debugs says whether a job is asked for debug lines.
func (r *runner) debugs(j *plan.Job) bool {
	value := r.secret("", stepDebug)
	if vars, ok := j.Contexts["vars"].(*expr.Object); ok && value == "" {
		if v, ok := vars.Get(stepDebug); ok {
			value = expr.ToString(v)
		}
	}
	return strings.EqualFold(value, "true")
}
