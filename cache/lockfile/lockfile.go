// SPDX-License-Identifier: Apache-2.0

package lockfile

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/zviz/run/cache/registry"
)

const (
	sizeMost     = 64 << 20 // bytes
	packagesMost = 500_000
)

// Error says what is wrong with a lockfile, and where if that is known.
type Error struct {
	File string
	Line int // 0: not known
	Err  error
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.File, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Files are the base names that Parse knows, beside requirements*.txt.
func Files() []string {
	return []string{"package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "go.sum", "go.work.sum", "Cargo.lock", "requirements.txt"}
}

// Of returns whose packages a file of that name locks; empty if Parse does not know it.
func Of(file string) registry.Ecosystem {
	switch base := path.Base(file); base {
	case "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock":
		return registry.NPM
	case "go.sum", "go.work.sum":
		return registry.Go
	case "Cargo.lock":
		return registry.Cargo
	default:
		if parserOf(base) != nil {
			return registry.PyPI
		}
		return ""
	}
}

type parser func(b []byte) ([]registry.Locked, error)

func parserOf(base string) parser {
	switch base {
	case "package-lock.json", "npm-shrinkwrap.json":
		return parseNPM
	case "pnpm-lock.yaml":
		return parsePNPM
	case "yarn.lock":
		return parseYarn
	case "go.sum", "go.work.sum":
		return parseGoSum
	case "Cargo.lock":
		return parseCargo
	}
	if strings.HasPrefix(base, "requirements") && strings.HasSuffix(base, ".txt") {
		return parseRequirements
	}
	return nil
}

// Parse reads a lockfile; its base name tells its form.
func Parse(file string, r io.Reader) ([]registry.Locked, error) {
	p := parserOf(path.Base(file))
	if p == nil {
		return nil, &Error{File: file, Err: fmt.Errorf("no lockfile that we know; there are %s", strings.Join(Files(), ", "))}
	}
	b, err := io.ReadAll(registry.Bound(r, sizeMost))
	if err != nil {
		return nil, &Error{File: file, Err: err}
	}
	all, err := p(b)
	if err == nil && len(all) > packagesMost {
		err = fmt.Errorf("names more than %d packages", packagesMost)
	}
	if err != nil {
		e := &Error{File: file, Err: err}
		if at, ok := errors.AsType[*lineError](err); ok {
			e.Line, e.Err = at.line, at.err
		}
		return nil, e
	}
	return all, nil
}

// lineError is an error of a line.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }
