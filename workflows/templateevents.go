// SPDX-License-Identifier: Apache-2.0

package workflows

import "github.com/zviz/run/workflows/syntax"

func (p *printer) events(events []Event) {
	p.object(func(o *object) {
		for _, e := range events {
			o.put(e.Name, func() { p.event(e) })
		}
	})
}

func (p *printer) event(e Event) {
	if e.Schedule != nil {
		list(p, e.Schedule, func(s Schedule) {
			p.object(func(o *object) {
				o.text("cron", s.Cron)
				if s.Timezone != "" {
					o.text("timezone", s.Timezone)
				}
			})
		})
		return
	}
	p.object(func(o *object) {
		for _, f := range e.Filters {
			o.put(f.Key, func() { p.texts(f.Patterns) })
		}
		if e.Inputs != nil {
			o.put("inputs", func() { p.inputs(e.Inputs) })
		}
		if e.Secrets != nil {
			o.put("secrets", func() {
				p.object(func(o *object) {
					for _, s := range e.Secrets {
						o.put(s.Name, func() { p.object(func(o *object) { o.about(s) }) })
					}
				})
			})
		}
	})
}

// about writes what inputs and secrets share.
func (o *object) about(in Input) {
	o.plain("description", in.Description)
	o.plain("required", in.Required)
}

// plain writes a literal without its place.
func (o *object) plain(key string, t *syntax.Token) {
	if t != nil {
		o.put(key, func() { o.p.literal(t) })
	}
}

func (p *printer) inputs(inputs []Input) {
	p.object(func(o *object) {
		for _, in := range inputs {
			o.put(in.Name, func() {
				p.object(func(o *object) {
					o.text("type", in.Type)
					o.about(in)
					if in.Options != nil {
						o.put("options", func() { p.texts(in.Options) })
					}
					if in.Type != "number" && !in.Default.IsExpression() {
						o.plain("default", in.Default)
					}
				})
			})
		}
	})
}
