// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/build"
	"github.com/zviz/run/internal/dsse"
)

// signing is what exec --provenance needs, read before the job starts.
type signing struct {
	key      crypto.Signer
	file     *reportFile
	subjects []string
}

// keyMost bounds a file with a key.
const keyMost = 64 << 10

// openSigning checks the flags and reads the key; nil without --provenance.
func (o *execOptions) openSigning() (_ *signing, err error) {
	switch {
	case o.provenance == "" && o.signKey == "" && len(o.subjects) == 0:
		return nil, nil
	case o.provenance == "":
		return nil, failure{Code: "usage.argument", What: "--sign-key and --subject are for --provenance", Fix: "add --provenance FILE"}
	case o.signKey == "":
		return nil, failure{Code: "usage.argument", What: "--provenance needs a key to sign with", Fix: "add --sign-key FILE; to make one: openssl genpkey -algorithm ed25519 -out FILE"}
	case o.report == "":
		return nil, failure{Code: "usage.argument", What: "--provenance signs the digest of the report, so it needs one", Fix: "add --report FILE"}
	}
	data, err := readSmall(o.signKey, keyMost)
	if err != nil {
		return nil, argument("--sign-key", o.signKey, cause(err))
	}
	s := &signing{subjects: o.subjects}
	if s.key, err = dsse.ParseSigner(data); err != nil {
		return nil, argument("--sign-key", o.signKey, err)
	}
	for _, name := range o.subjects {
		if !filepath.IsLocal(name) {
			return nil, argument("--subject", name, usageError{"want a path below the folder that the command runs in", ""})
		}
	}
	if s.file, err = openReport(o.provenance); err != nil {
		return nil, failure{Code: "report.unwritable", What: badValue("--provenance", o.provenance, cause(err)), Fix: hint(err), err: err}
	}
	return s, nil
}

// apart checks that nothing that is written takes the place of another file, before any of
// them is.
func (o *execOptions) apart() error {
	for _, x := range [][4]string{
		{"--report", o.report, "--provenance", o.provenance},
		{"--report", o.report, "--sign-key", o.signKey},
		{"--provenance", o.provenance, "--sign-key", o.signKey},
	} {
		if x[1] != "" && x[3] != "" && sameFile(x[1], x[3]) {
			return failure{Code: "usage.argument", What: x[0] + " and " + x[2] + " name the same file: one would take the place of the other", Fix: "name two"}
		}
	}
	return nil
}

// sameFile reports whether two paths name one file, which need not be there yet.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	if errX == nil && errY == nil {
		return os.SameFile(x, y)
	}
	x, errX = os.Stat(filepath.Dir(a))
	y, errY = os.Stat(filepath.Dir(b))
	return errX == nil && errY == nil && os.SameFile(x, y) && filepath.Base(a) == filepath.Base(b)
}

// readSmall reads a regular file.
func readSmall(name string, most int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if fi, err := f.Stat(); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("has more than %d bytes", most)
	}
	return data, err
}

// write signs a statement about the report, as it was stored, and the subjects.
func (s *signing) write(r executor.Report, stored []byte, dir string) error {
	var subjects []executor.Descriptor
	if r.Conclusion == executor.Success {
		var err error
		if subjects, err = digests(dir, s.subjects); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(stored)
	statement, err := json.Marshal(executor.NewStatement(r, hex.EncodeToString(sum[:]), subjects, build.Read().Version))
	if err != nil {
		return err
	}
	envelope, err := dsse.Sign(s.key, dsse.InToto, statement)
	if err != nil {
		return err
	}
	return s.file.put(func(w io.Writer) error {
		_, err := w.Write(append(envelope, '\n'))
		return err
	})
}

// digests hashes files below dir. The job wrote them, so no link leads out of there
// and nothing but regular files is opened.
func digests(dir string, names []string) (out []executor.Descriptor, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	for _, name := range names {
		digest, err := fileDigest(root, name)
		if err != nil {
			return nil, argument("--subject", name, cause(err))
		}
		out = append(out, executor.Descriptor{Name: filepath.ToSlash(filepath.Clean(name)), Digest: map[string]string{"sha256": digest}})
	}
	return out, nil
}

func fileDigest(root *os.Root, name string) (string, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	if fi, err := f.Stat(); err != nil {
		return "", err
	} else if !fi.Mode().IsRegular() {
		return "", errors.New("is not a regular file")
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// store writes the report and, with --provenance, the signed statement about it.
func (e *execution) store(r executor.Report) error {
	if e.file == nil {
		return nil
	}
	var stored bytes.Buffer
	err := ui.WriteJSON(&stored, r, "  ")
	if err == nil {
		err = e.file.put(func(w io.Writer) error { _, err := w.Write(stored.Bytes()); return err })
	}
	if err != nil {
		return failure{Code: "report.unwritable", What: badValue("--report", e.report, cause(err)), Fix: hint(err), Exit: exitOurs, err: err}
	}
	if e.signing == nil {
		return nil
	}
	if err := e.signing.write(r, stored.Bytes(), e.workDir); err != nil {
		return failure{Code: "report.unwritable", What: badValue("--provenance", e.provenance, cause(err)), Fix: hint(err), Exit: exitOurs, err: err}
	}
	return nil
}
