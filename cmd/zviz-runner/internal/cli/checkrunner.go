// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/actions"
	"github.com/zviz/run/executor/inventory"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

// inventoried is what a file needs of a runner.
type inventoried struct {
	checkedFile
	Needs []inventory.Item `json:"needs"`
	Lacks int              `json:"lacks"` // how many of them are missing
}

// checkRunner says what workflows need of this machine, and what it lacks.
func (a app) checkRunner(ctx context.Context, paths []string, o *runOptions) (err error) {
	o.offline, o.listed = true, true // what is not here is listed, and not fetched
	b, err := a.bring(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	good := true
	files := make([]inventoried, 0, len(paths))
	for _, path := range paths {
		f, err := a.inventory(ctx, path, b)
		if err != nil {
			return err
		}
		good = good && f.Valid && f.Lacks == 0
		files = append(files, f)
	}
	if o.json {
		err = writeJSON(a.Out, struct {
			Files []inventoried `json:"files"`
		}{files})
	} else {
		err = a.printInventory(files)
	}
	if err == nil && !good {
		err = exitStatus(exitFailed)
	}
	return err
}

func (a app) inventory(ctx context.Context, path string, b *brought) (f inventoried, err error) {
	w, err := findWorkflow(path)
	if err != nil {
		return f, failure{Code: "usage.argument", What: err.Error(), Exit: exitUsage, err: err}
	}
	wf, problems := workflows.Parse(w.name, w.text, workflows.Options{Open: b.opener(ctx, w), Syntax: syntax.Options{BackgroundSteps: true}})
	f = inventoried{checkedFile{path, wf != nil, w.findings(problems.Errors), w.findings(problems.Warnings)}, []inventory.Item{}, 0}
	if wf == nil {
		return f, nil
	}
	repo, err := w.repository(w.root)
	if err != nil {
		return f, err
	}
	root, err := os.OpenRoot(repo.Dir)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f.Needs = append(f.Needs, inventory.Of(ctx, wf, inventory.Machine{
		LookPath: a.jobsPath(),
		Load: func(ctx context.Context, use job.Use, called string) (*job.Action, error) {
			origin := actions.Origin{Repository: repo.Name, Dir: repo.Dir, File: w.name, Called: called, Files: wf.Files}
			return b.source.For(origin).Load(ctx, use, root.FS())
		},
		Node: a.nodeFor, LocalCheckout: !b.real,
		Given: func(name string) bool { _, ok := a.lookupEnv(name); return ok },
	})...)
	for _, i := range f.Needs {
		if i.Lacks() {
			f.Lacks++
		}
	}
	return f, nil
}

// jobsPath finds programs where jobs find them.
func (a app) jobsPath() func(name string) string {
	dirs := executor.HostPath(a.getenv("PATH"), a.home())
	return func(name string) string {
		for _, d := range dirs {
			file := filepath.Join(d, name)
			if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
				return file
			}
		}
		return ""
	}
}

// nodeFor says which Node.js an action would have. The one in PATH is not started, so
// that its version is not known.
func (a app) nodeFor(major int) (inventory.State, string) {
	if version, manager := actions.Kept(a.home(), major); version != "" {
		return inventory.Here, version + " of " + manager
	}
	kept, _ := filepath.Glob(filepath.Join(a.cacheDir(), "node", "versions", strconv.Itoa(major)+".*")) // the pattern is well-formed
	if len(kept) > 0 {
		return inventory.Here, "in the cache"
	}
	if file := a.jobsPath()("node"); file != "" {
		return inventory.Here, file + ", or fetched from npm's registry if that one is older"
	}
	return inventory.Fetch, "from npm's registry"
}

// printInventory prints a table for each file, what is missing marked.
func (a app) printInventory(files []inventoried) error {
	colors := ui.ColorsFor("auto", a.getenv, a.Out)
	for n, f := range files {
		if n > 0 {
			if err := printLine(a.Out, ""); err != nil {
				return err
			}
		}
		if err := a.printFindings(f.checkedFile); err != nil {
			return err
		}
		if !f.Valid {
			continue
		}
		if len(files) > 1 {
			if err := printLine(a.Out, ui.CleanLine(f.File+":")); err != nil {
				return err
			}
		}
		var rows [][]string
		for _, i := range f.Needs {
			rows = append(rows, []string{string(i.State), string(i.Kind), ui.CleanLine(i.Name), usedBy(i.Used), ui.CleanLine(i.Detail)})
		}
		if err := ui.Table(a.Out, rows, func(row, col int, cell string) string {
			if col == 0 && f.Needs[row].Lacks() {
				return colors.Red(cell)
			}
			return cell
		}); err != nil {
			return err
		}
		line := "this machine has what " + f.File + " needs"
		if f.Lacks > 0 {
			line = fmt.Sprintf("this machine lacks %s that %s needs", ui.Count(f.Lacks, "thing", "things"), f.File)
		}
		if err := printLine(a.Out, ui.CleanLine(line)); err != nil {
			return err
		}
	}
	return nil
}

// usedBy is short: the first two, and how many more.
func usedBy(used []string) string {
	const most = 2
	more := ""
	if len(used) > most {
		more = fmt.Sprintf(" and %d more", len(used)-most)
		used = slices.Clone(used[:most])
	}
	return ui.CleanLine(strings.Join(used, ", ") + more)
}
