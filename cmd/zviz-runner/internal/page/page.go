// SPDX-License-Identifier: Apache-2.0

package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
)

//go:embed style.css
var style string

// rowsMost bounds each table: the job decides how long they are, and the report has
// all of it.
const rowsMost = 1000

// policy lets the page do nothing but show itself, with the one style that it has.
func policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// Write writes the page. verified says in one sentence what is known of the report's
// origin; empty if nothing was looked at.
func Write(out io.Writer, r executor.Report, verified string) error {
	w := &writer{}
	w.b.WriteString("<!DOCTYPE html>\n")
	w.in("html", []string{"lang", "en"}, func() {
		w.in("head", nil, func() {
			w.open("meta", "charset", "utf-8")
			w.b.WriteString(`<meta http-equiv="Content-Security-Policy" content="` + policy() + `">`)
			w.open("meta", "name", "viewport", "content", "width=device-width,initial-scale=1")
			w.open("meta", "name", "referrer", "content", "no-referrer")
			w.text("title", "Report of "+r.Title())
			w.b.WriteString("<style>" + style + "</style>")
		})
		w.in("body", nil, func() {
			w.head(r, verified)
			w.network(r)
			w.rest(r)
		})
	})
	_, err := io.WriteString(out, w.b.String())
	return err
}

func (w *writer) head(r executor.Report, verified string) {
	class, mark := "badge deny", "✗ "
	if r.Conclusion == executor.Success {
		class, mark = "badge allow", "✓ "
	}
	w.in("h1", nil, func() { w.text("code", ui.CleanLine(r.Title())) })
	w.in("p", nil, func() {
		w.text("span", mark+string(r.Conclusion), "class", class)
		w.text("span", " "+ended(r), "class", "soft")
	})
	if e := r.Error; e != nil {
		w.text("p", "Error: "+e.What, "class", "deny")
		for _, more := range []string{e.Why, e.Fix} {
			if more != "" {
				w.text("p", more, "class", "soft")
			}
		}
	}
	complete := "Complete: nothing opaque left the cell"
	if !r.Egress.Complete {
		complete = "Not complete: something opaque left the cell"
	}
	environment := ""
	if e := r.Environment; e != nil {
		environment = joined(", ", e.Name, e.URL) // no link: the job chose where it leads
	}
	w.in("dl", []string{"class", "facts"}, func() {
		for _, f := range [][2]string{
			{"Started", r.Started.UTC().Format(time.DateTime) + " UTC"},
			{"Took", (time.Duration(r.Usage.WallMS) * time.Millisecond).String()},
			{"Run", r.ID},
			{"Profile, root file system", r.Profile + ", " + r.Rootfs},
			{"Memory, processes at most", ui.Amount(r.Usage.MemoryPeakBytes) + ", " + strconv.Itoa(r.Usage.PidsPeak)},
			{"Environment", environment},
			{"Record of the network", complete},
			{"Origin of this report", verified},
		} {
			if f[1] == "" {
				continue
			}
			w.in("div", nil, func() {
				w.text("dt", f[0])
				w.text("dd", f[1])
			})
		}
	})
}

// ended says how the command ended.
func ended(r executor.Report) string {
	s := "exit code " + strconv.Itoa(r.ExitCode) + ", " + strings.ReplaceAll(string(r.Cause), "_", " ")
	if r.Signal != "" {
		s += " by " + r.Signal
	}
	return s
}
