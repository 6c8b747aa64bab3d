// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fileJob is file work that is measured.
type fileJob struct {
	name string
	tool string // without which it is not done; empty for none
	args []string
	do   func(dir string) error // instead of args
}

// The names in the workspace.
const (
	archive  = "tree.tar"
	origin   = "origin"
	modules  = "node"
	sample   = "sample"   // a file of sampleSize
	produced = "produced" // what a work makes, removed before
)

const (
	blockSize  = 4096
	sampleSize = 16 << 20
	blocks     = sampleSize / blockSize
	syncEvery  = 64 // of random writes
	someBlocks = 256
)

func fileWork() []fileJob {
	return []fileJob{
		{name: "untar, 500 files", tool: "tar", args: []string{"tar", "-xf", "../" + archive}},
		{name: "git clone, 500 files", tool: "git", args: []string{"git", "clone", "-q", "--no-hardlinks", "../" + origin, "clone"}},
		{name: "npm ci, 20 packages, offline", tool: "npm", args: []string{
			"sh", "-ec", "cp ../" + modules + "/package*.json . && npm ci --offline --ignore-scripts --no-audit --no-fund --loglevel=error",
		}},
		{name: "16 MiB written in order, 4 KiB each, fsync", do: writeInOrder},
		{name: "1 MiB written at random, 4 KiB each, fsync after 64", do: writeAtRandom},
		{name: "16 MiB read in order, 4 KiB each", do: func(dir string) error { return readBlocks(dir, func(i int) int { return i }) }},
		{name: "16 MiB read at random, 4 KiB each", do: func(dir string) error {
			random := rand.New(rand.NewPCG(3, 4))
			return readBlocks(dir, func(int) int { return random.IntN(blocks) })
		}},
	}
}

// run does it once, in an empty folder.
func (f fileJob) run(ctx context.Context, dir string) (cost, error) {
	in := filepath.Join(dir, produced)
	if err := errors.Join(os.RemoveAll(in), os.Mkdir(in, 0o755)); err != nil {
		return cost{}, err
	}
	var err error
	w := startWatch()
	if f.do != nil {
		err = f.do(dir)
	} else {
		cmd := exec.CommandContext(ctx, f.args[0], f.args[1:]...)
		cmd.Dir = in
		cmd.Env = append(environment(), "HOME="+in, "npm_config_cache="+filepath.Join(in, "cache"))
		var text []byte
		if text, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %.300s", err, text)
		}
	}
	took := w.read()
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", f.name, err)
	}
	return took, nil
}

func writeInOrder(dir string) (err error) {
	f, err := os.OpenFile(filepath.Join(dir, produced, "ordered"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	block := make([]byte, blockSize)
	for range blocks {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	return f.Sync()
}

func writeAtRandom(dir string) (err error) {
	f, err := os.OpenFile(filepath.Join(dir, sample), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	random := rand.New(rand.NewPCG(1, 2)) // the same places each time
	block := make([]byte, blockSize)
	for i := range someBlocks {
		if _, err := f.WriteAt(block, int64(random.IntN(blocks))*blockSize); err != nil {
			return err
		}
		if i%syncEvery == syncEvery-1 {
			if err := f.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// readBlocks reads as many blocks as the file has; at gives the number of the i-th.
func readBlocks(dir string, at func(int) int) (err error) {
	f, err := os.Open(filepath.Join(dir, sample))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	block := make([]byte, blockSize)
	for i := range blocks {
		if _, err := f.ReadAt(block, int64(at(i))*blockSize); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes what the work needs, and says for which tools it cannot be done.
func prepare(ctx context.Context, dir string) (missing map[string]string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(self)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, program), text, 0o755),
		os.WriteFile(filepath.Join(dir, sample), make([]byte, sampleSize), 0o644),
	); err != nil {
		return nil, err
	}
	missing = map[string]string{}
	for _, step := range []struct {
		tool   string
		script string
	}{
		{"tar", "tar -cf " + archive + " -C tree ."},
		{"git", "cp -r tree " + origin + " && cd " + origin + " && git init -q && git add . && git -c user.name=a -c user.email=a@example.com commit -qm tree"},
		{"npm", packages},
	} {
		if _, err := exec.LookPath(step.tool); err != nil {
			missing[step.tool] = step.tool + " is not installed"
			continue
		}
		if err := makeTree(filepath.Join(dir, "tree")); err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, "sh", "-ec", step.script)
		cmd.Dir, cmd.Env = dir, append(environment(), "npm_config_cache="+filepath.Join(dir, "cache"))
		if text, err := cmd.CombinedOutput(); err != nil {
			missing[step.tool] = fmt.Sprintf("%v: %.200s", err, strings.ReplaceAll(string(text), "\n", " "))
		}
	}
	return missing, nil
}

// packages makes a lock file of twenty packages, each an archive in the workspace:
// npm then asks nobody.
const packages = `
mkdir ` + modules + ` && cd ` + modules + `
deps=
for i in $(seq 20); do
	mkdir -p p/package
	cp -r ../tree/d$((i % 20)) p/package/lib
	printf '{"name":"bench-%d","version":"1.0.0"}' $i >p/package/package.json
	tar -czf bench-$i.tgz -C p package
	rm -r p
	deps="$deps${deps:+,}\"bench-$i\":\"file:../` + modules + `/bench-$i.tgz\""
done
printf '{"name":"bench","version":"1.0.0","dependencies":{%s}}' "$deps" >package.json
npm install --package-lock-only --offline --ignore-scripts --no-audit --no-fund --loglevel=error
`

// makeTree makes 500 files in 20 folders, as large as source files are: two thirds
// below 4 KiB, some of 20.
func makeTree(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	random := rand.New(rand.NewPCG(5, 6)) // the same tree each time
	for d := range 20 {
		sub := filepath.Join(dir, fmt.Sprintf("d%d", d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		for f := range 25 {
			size := 200 << random.IntN(7)
			text := make([]byte, size+random.IntN(size))
			for i := range text {
				text[i] = byte('a' + random.IntN(16)) // as well compressed as text
			}
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%d.js", f)), text, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
