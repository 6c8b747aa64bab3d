// SPDX-License-Identifier: Apache-2.0

package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// manifest is the list of what runs have put into a folder.
type manifest struct {
	Schema    string  `json:"schema"`
	Artifacts []entry `json:"artifacts"`
}

const (
	manifestSchema = "zviz.run/artifacts/v1"
	manifestMost   = 16 << 20 // bytes that are read
	digestPrefix   = "sha256:"
)

// entry is one artifact.
type entry struct {
	Name    string    `json:"name"`
	File    string    `json:"file"`
	Size    int64     `json:"size"`
	Digest  string    `json:"digest"` // sha256:HEX
	Type    string    `json:"type"`   // a media type
	Run     string    `json:"run"`
	Job     string    `json:"job"`
	Created time.Time `json:"created"`
}

func readManifest(root *os.Root) (manifest, error) {
	f, err := root.Open(manifestIn)
	if err != nil {
		return manifest{}, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, manifestMost))
	if err != nil {
		return manifest{}, err
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return manifest{}, err
	}
	if m.Schema != manifestSchema {
		return manifest{}, fmt.Errorf("schema %.40q, want %s", m.Schema, manifestSchema)
	}
	return m, nil
}

// has returns the entry of a file.
func (m *manifest) has(file string) bool {
	return slices.ContainsFunc(m.Artifacts, func(e entry) bool { return e.File == file })
}

// with is the list with one entry more; it takes the place of the one of the same file.
func (m manifest) with(e entry) manifest {
	m.Artifacts = append(m.without(e.File).Artifacts, e)
	return m
}

func (m manifest) without(file string) manifest {
	m.Artifacts = slices.DeleteFunc(slices.Clone(m.Artifacts), func(e entry) bool { return e.File == file })
	return m
}

// writeManifest replaces the list on disk. The caller holds mu, or nobody else knows
// the run yet.
func (r *Run) writeManifest() error {
	if r.cfg.Temporary {
		return nil
	}
	r.manifest.Schema = manifestSchema
	if r.manifest.Artifacts == nil {
		r.manifest.Artifacts = []entry{}
	}
	slices.SortStableFunc(r.manifest.Artifacts, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	b, err := json.MarshalIndent(r.manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	temp := path.Join(r.temp, "manifest")
	f, err := r.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, ownAs(f, r.folder), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	if err := r.root.Rename(temp, manifestIn); err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	return r.folder.Sync()
}
