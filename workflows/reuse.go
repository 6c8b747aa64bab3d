// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// loadAll reads the workflows that jobs call, up to the first error.
func (c *converter) loadAll(jobs []*Job) {
	if c.o.Open == nil {
		return
	}
	for _, j := range jobs {
		if j.Uses != nil {
			c.load(j, "", 1)
		}
		if c.r.Failed() {
			return
		}
	}
}

// load reads the workflow that a job calls; from is the file that the job is in, as
// Open was asked for it, empty for the first.
func (c *converter) load(j *Job, from string, depth int) {
	if depth > c.o.MaxCalls {
		c.abort(j.Uses, "Nested reusable workflow depth exceeded %d.", c.o.MaxCalls)
		return
	}
	if problem := wrongReference(j.Uses.Text); problem != "" {
		c.error(j.Uses, "Invalid workflow reference '%s': %s", j.Uses.Text, problem)
		return
	}
	j.Call.File = calledFile(j.Uses.Text, from)
	text, err := c.o.Open(j.Call.File)
	switch {
	case errors.Is(err, ErrNotHere):
		c.warn(j.Uses, "%s: %v: not checked", j.Call.File, err)
		return
	case err != nil:
		c.error(j.Uses, "Unable to find reusable workflow: %v", err)
		return
	}
	root := c.read(strings.TrimPrefix(j.Call.File, "./"), text)
	if !c.r.Failed() && root != nil {
		c.called(j, root)
	}
	c.r.CalledFrom(j.Uses)
	if c.r.Failed() {
		return
	}
	j.Call.Loaded = true
	for _, nested := range j.Call.Jobs {
		if nested.Uses != nil {
			c.load(nested, j.Call.File, depth+1)
		}
		if c.r.Failed() {
			return
		}
	}
}

// wrongReference says what is wrong with the uses of a calling job: it names a file in
// the folder of workflows itself, of the same repository or of another one at a version.
// Where a workflow folder has another name the forge says; .github is GitHub's.
func wrongReference(uses string) string {
	file, own := strings.CutPrefix(uses, "./")
	if !own {
		file, own = strings.CutPrefix(uses, "$/")
	}
	if !own {
		name, ref, versioned := strings.Cut(uses, "@")
		parts := strings.SplitN(name, "/", 3)
		switch {
		case len(parts) < 3 || parts[0] == "" || parts[1] == "":
			return "references to workflows must be prefixed with format 'owner/repo/' or './'"
		case !versioned || ref == "":
			return "no version specified"
		}
		file = parts[2]
	} else if strings.Contains(file, "@") {
		return "cannot specify version when calling local workflows"
	}
	dir, name := path.Split(file)
	root, below, rooted := strings.Cut(dir, "/workflows/")
	switch {
	case !rooted || !slices.Contains([]string{".github", ".gitea", ".forgejo"}, root):
		return "references to workflows must be rooted in '.github/workflows'"
	case below != "":
		return "workflows must be defined at the top level of the .github/workflows/ directory"
	case !slices.Contains([]string{".yml", ".yaml"}, path.Ext(name)):
		return "workflow file should have either a '.yml' or '.yaml' file extension"
	}
	return ""
}

// calledFile is the file that a uses in another one names: ./ and $/ are the repository
// and the commit of the file that says it (docs.github.com, "Reusing workflow
// configurations").
func calledFile(uses, from string) string {
	file, own := strings.CutPrefix(uses, "./")
	if !own {
		file, own = strings.CutPrefix(uses, "$/")
	}
	name, ref, remote := strings.Cut(from, "@")
	parts := strings.SplitN(name, "/", 3)
	if !own || !remote || len(parts) < 3 || strings.HasPrefix(from, "./") || strings.HasPrefix(from, "$/") {
		return uses
	}
	return parts[0] + "/" + parts[1] + "/" + file + "@" + ref
}

// called fits a called file to the job that calls it.
func (c *converter) called(j *Job, root *syntax.Token) {
	most := j.Permissions
	if !c.want(root, syntax.Mapping, "root") {
		return
	}
	if root.Get("on") == nil {
		c.notCallable(root)
		return
	}
	for _, p := range root.Pairs {
		switch p.Key.Text {
		case "on":
			c.calledOn(j, p.Value)
		case "defaults":
			j.Call.Defaults = p.Value
		case "env":
			j.Call.Env = p.Value
		case "concurrency":
			c.concurrency(p.Value)
			j.Call.Concurrency = p.Value
		case "jobs":
			j.Call.Jobs = c.convertJobs(p.Value)
		case "permissions":
			asked := c.permissions(p.Value)
			c.checkPermissions(j, nil, asked, most)
			j.Permissions = asked
		}
	}
	for _, nested := range j.Call.Jobs {
		switch {
		case nested.Permissions != nil:
			c.checkPermissions(j, nested, nested.Permissions, most)
		case j.Permissions != nil:
			nested.Permissions = j.Permissions
		}
	}
}

const callEvent = "workflow_call"

// calledOn finds the workflow_call of a called file.
func (c *converter) calledOn(j *Job, t *syntax.Token) {
	var spec *syntax.Token
	found := t.Kind == syntax.String && t.Text == callEvent ||
		slices.ContainsFunc(t.Items, func(i *syntax.Token) bool { return i.Text == callEvent })
	for _, p := range t.Pairs {
		if p.Key.Text == callEvent {
			found, spec = true, p.Value
		}
	}
	if !found {
		c.notCallable(t)
		return
	}
	if spec != nil && spec.Kind == syntax.Mapping {
		for _, key := range []string{"inputs", "secrets", "outputs"} {
			if v := spec.Get(key); v != nil && !c.want(v, syntax.Mapping, "on-workflow_call-"+key) {
				return
			}
		}
		j.Call.InputSpec, j.Call.SecretSpec, j.Call.Outputs = spec.Get("inputs"), spec.Get("secrets"), spec.Get("outputs")
	}
	c.checkInputs(j)
	if !j.Call.InheritSecrets {
		c.checkSecrets(j)
	}
}

func (c *converter) notCallable(t *syntax.Token) {
	c.error(t, "workflow_call key is not defined in the referenced workflow.")
}

// given finds a value by its name, which ignores case.
func given(t *syntax.Token, name string) *syntax.Token {
	if t != nil {
		for _, p := range t.Pairs {
			if expr.Fold(p.Key.Text) == expr.Fold(name) {
				return p.Value
			}
		}
	}
	return nil
}

func (c *converter) checkInputs(j *Job) {
	if j.Call.InputSpec != nil {
		for _, p := range j.Call.InputSpec.Pairs {
			spec, value := p.Value, given(j.Call.Inputs, p.Key.Text)
			def := spec.Get("type").String() + "-needs-context"
			if d := spec.Get("default"); d != nil {
				c.r.Check(d, def)
			}
			required := spec.Get("required")
			switch {
			case value != nil:
				c.r.Check(value, def)
			case required != nil && required.Bool:
				c.error(j.Uses, "Input %s is required, but not provided while calling.", p.Key.Text)
			}
		}
	}
	c.checkDefined(j.Call.Inputs, j.Call.InputSpec, "input")
}

func (c *converter) checkSecrets(j *Job) {
	if j.Call.SecretSpec != nil {
		for _, p := range j.Call.SecretSpec.Pairs {
			required := p.Value.Get("required")
			if given(j.Call.Secrets, p.Key.Text) == nil && required != nil && required.Bool {
				c.error(j.Uses, "Secret %s is required, but not provided while calling.", p.Key.Text)
			}
		}
	}
	c.checkDefined(j.Call.Secrets, j.Call.SecretSpec, "secret")
}

// checkDefined refuses what the called workflow does not know.
func (c *converter) checkDefined(values, spec *syntax.Token, what string) {
	if values == nil {
		return
	}
	for _, p := range values.Pairs {
		if given(spec, p.Key.Text) == nil {
			c.error(p.Value, "Invalid %s, %s is not defined in the referenced workflow.", what, p.Key.Text)
		}
	}
}
