// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"slices"
	"strconv"
	"strings"

	"github.com/zviz/run/workflows/syntax"
)

func (c *converter) runsOn(t *syntax.Token) {
	c.labels(t)
	if t.Kind != syntax.Mapping {
		return
	}
	for _, p := range t.Pairs {
		if !c.want(p.Key, syntax.String, "job runs-on property name") {
			return
		}
		switch {
		case p.Key.Text == "labels":
			c.labels(p.Value)
		case p.Key.Text == "group" && !p.Value.IsExpression():
			if c.want(p.Value, syntax.String, "job runs-on group name") {
				c.runnerGroup(p.Value)
			}
		}
	}
}

func (c *converter) labels(t *syntax.Token) {
	for _, label := range t.Items {
		if !label.IsExpression() && !c.want(label, syntax.String, "job runs-on labels sequence item") {
			return
		}
	}
}

func (c *converter) runnerGroup(t *syntax.Token) {
	names := strings.Split(t.Text, "/")
	switch {
	case len(names) == 1:
	case len(names) == 2 && names[1] == "":
		c.error(t, "Invalid runs-on group name '%s'.", t.Text)
	case len(names) > 2 || !slices.Contains([]string{"org", "organization", "ent", "enterprise"}, names[0]):
		c.error(t, "Invalid runs-on group name '%s'. Please use 'organization/' or 'enterprise/' prefix to target a single runner group.", t.Text)
	}
}

func (c *converter) snapshot(t *syntax.Token) {
	if t.Kind != syntax.Mapping {
		return
	}
	for _, p := range t.Pairs {
		switch {
		case p.Key.Text == "if":
			c.condition(p.Value, ifSnapshot)
		case p.Value.IsExpression():
			return
		case p.Key.Text == "version" && c.want(p.Value, syntax.String, "job snapshot version"):
			if !snapshotVersion(p.Value.Text) {
				c.error(t, "Expected format '{major-version}.*' Actual '%s'", p.Value.Text)
				return
			}
		}
	}
}

func snapshotVersion(s string) bool {
	major, ok := strings.CutSuffix(s, ".*")
	n, err := strconv.ParseInt(major, 10, 32)
	return ok && err == nil && n >= 0 && strings.Trim(major, "0123456789") == ""
}

// environment checks one that is known early; its url is the runner's business.
func (c *converter) environment(t *syntax.Token) {
	if t.IsExpression() || t.Kind == syntax.String || !c.want(t, syntax.Mapping, "job environment") {
		return
	}
	for _, p := range t.Pairs {
		if p.Key.IsExpression() || p.Key.Text != "url" && p.Value.HasExpression() {
			return
		}
	}
	if name := t.Get("name"); name != nil {
		c.want(name, syntax.String, "job environment name")
	}
}

const dockerPrefix = "docker://"

// container checks a container that holds no expression.
func (c *converter) container(t *syntax.Token, service bool) {
	if t.HasExpression() {
		return
	}
	if t.Kind == syntax.String {
		c.image(t, t, service)
		return
	}
	if !c.want(t, syntax.Mapping, "container") {
		return
	}
	for _, p := range t.Pairs {
		c.containerKey(p.Key, p.Value)
	}
	if !c.aborted {
		c.image(t, t.Get("image"), service)
	}
}

// image checks that there is an image: a job's may be empty, which means no container.
func (c *converter) image(t, image *syntax.Token, service bool) {
	if image == nil || service && image.Text == "" || image.Text == dockerPrefix {
		c.error(t, "Container image cannot be empty")
	}
}

func (c *converter) containerKey(k, v *syntax.Token) {
	what := "container " + k.Text
	switch k.Text {
	case "image", "options", "entrypoint", "command":
		c.want(v, syntax.String, what)
	case "env", "credentials":
		if c.want(v, syntax.Mapping, what) {
			for _, p := range v.Pairs {
				c.want(p.Value, syntax.String, what+" "+p.Key.Text)
			}
		}
	case "ports", "volumes":
		if c.want(v, syntax.Sequence, what) {
			for _, i := range v.Items {
				c.want(i, syntax.String, what+" "+i.String())
			}
		}
	}
}

func (c *converter) services(t *syntax.Token) {
	if t.HasExpression() || !c.want(t, syntax.Mapping, "services") {
		return
	}
	for _, p := range t.Pairs {
		c.container(p.Value, true)
	}
}
