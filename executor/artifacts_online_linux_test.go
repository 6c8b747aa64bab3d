// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"archive/zip"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/cache/results"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// served is a job in a cell with the artifacts of a run.
type served struct {
	t      *testing.T
	cell   *executor.Cell
	job    *results.Job
	mounts []sandbox.Mount
}

// serveArtifacts opens a cell of a job, in which the folder of a client is shown.
func serveArtifacts(t *testing.T, x *executor.Executor, run *results.Run, id, client string) *served {
	t.Helper()
	job, err := run.Job(id)
	if err != nil {
		t.Fatal(err)
	}
	cell, err := x.OpenCell(t.Context(), executor.CellRequest{Services: []egress.Service{{Name: "results", Handler: job}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		job.End()
		if err := cell.Close(); err != nil {
			t.Error(err)
		}
	})
	return &served{t: t, cell: cell, job: job, mounts: []sandbox.Mount{{Source: client, Target: "/opt/client"}}}
}

// node runs a script inside and returns what it says and whether it was content.
func (s *served) node(name, script string) (string, sandbox.Result) {
	s.t.Helper()
	file := executor.RunnerWork + "/" + name
	if err := s.cell.WriteFile(file, []byte(script), 0o644); err != nil {
		s.t.Fatal(err)
	}
	env := map[string]string{
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_WORKSPACE": executor.RunnerWork, "RUNNER_TEMP": executor.RunnerWork + "/_temp",
	}
	maps.Copy(env, s.job.Env(s.cell.ServiceURL("results")))
	var out buffer
	res, err := s.cell.Run(s.t.Context(), executor.Step{
		Args: []string{"node", file}, Env: env, Dir: executor.RunnerWork, Mounts: s.mounts, Stdout: &out, Stderr: &out,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.String(), res
}

const (
	artifactScript = `
import * as all from '/opt/client/ENTRY';
import * as fs from 'node:fs';
import * as crypto from 'node:crypto';
const client = new (all.DefaultArtifactClient ?? all.default.DefaultArtifactClient)();
const work = process.env.GITHUB_WORKSPACE;
function check(ok, what) { if (!ok) { console.log('WRONG', what); process.exitCode = 1; } }
`
	uploadScript = `
const many = [];
fs.mkdirSync(work + '/many/sub', { recursive: true });
for (let i = 0; i < 500; i++) { const f = work + '/many/' + (i % 2 ? 'sub/' : '') + i + '.txt'; fs.writeFileSync(f, 'file ' + i); many.push(f); }
fs.writeFileSync(work + '/empty', '');
const out = fs.openSync(work + '/large', 'w');
for (let i = 0; i < 300; i++) fs.writeSync(out, crypto.randomBytes(1 << 20));
fs.closeSync(out);
const t0 = Date.now();
const large = await client.uploadArtifact('large', [work + '/large'], work, { compressionLevel: 0 });
console.log('LARGE', large.size, 'bytes in', Date.now() - t0, 'ms');
check(large.size > 300 << 20, 'size of large');
await client.uploadArtifact('many files', many, work + '/many');
await client.uploadArtifact('empty', [work + '/empty'], work);
await client.uploadArtifact('gone', [work + '/empty'], work);
let twice; try { await client.uploadArtifact('empty', [work + '/empty'], work); } catch (e) { twice = e; }
check(String(twice).includes('already exists'), 'twice: ' + twice);
const { artifacts } = await client.listArtifacts();
check(artifacts.map(a => a.name).sort().join() === 'empty,gone,large,many files', 'list: ' + JSON.stringify(artifacts));
const { artifact } = await client.getArtifact('large');
check(artifact.size === large.size && artifact.id === large.id && (artifact.digest ?? 'sha256:' + large.digest) === 'sha256:' + large.digest, 'get: ' + JSON.stringify(artifact));
const deleted = await client.deleteArtifact('gone');
check(deleted.id === artifacts.find(a => a.name === 'gone').id, 'deleted');
let missing; try { await client.getArtifact('gone'); } catch (e) { missing = e; }
check(String(missing).includes('not found'), 'missing: ' + missing);
`
	rawScript = `
fs.writeFileSync(work + '/a report.html', '<p>é</p>');
fs.writeFileSync(work + '/none.bin', '');
await client.uploadArtifact('ignored', [work + '/a report.html'], work, { skipArchive: true });
await client.uploadArtifact('ignored', [work + '/none.bin'], work, { skipArchive: true });
`
	downloadScript = `
const { artifacts } = await client.listArtifacts();
for (const a of artifacts) {
  const t0 = Date.now();
  const r = await client.downloadArtifact(a.id, { path: work + '/down/' + a.name, expectedHash: a.digest });
  check(!r.digestMismatch, 'digest of ' + a.name);
  console.log('DOWNLOADED', a.name, a.size, 'bytes in', Date.now() - t0, 'ms');
}
check(fs.statSync(work + '/down/large/large').size === 300 << 20, 'large');
check(fs.readdirSync(work + '/down/many files').length === 251 && fs.readFileSync(work + '/down/many files/sub/33.txt', 'utf8') === 'file 33', 'many files');
check(fs.statSync(work + '/down/empty/empty').size === 0, 'empty');
let foreign; try { await client.deleteArtifact('large'); } catch (e) { foreign = e; }
check(String(foreign).includes('only it can delete'), 'foreign: ' + foreign);
`
	rawDownloadScript = `
check(fs.readFileSync(work + '/down/a report.html/a report.html', 'utf8') === '<p>é</p>', 'report');
check(fs.statSync(work + '/down/none.bin/none.bin').size === 0, 'none.bin');
`
	quotaScript = `
const t1 = Date.now();
let e; try { await client.uploadArtifact('too much', [work + '/large'], work, { compressionLevel: 0 }); } catch (x) { e = x; }
check(String(e).includes('not stored'), 'quota: ' + e);
console.log('REFUSED after', Date.now() - t1, 'ms');
`
)

// TestOnlineArtifacts: the library of upload-artifact and download-artifact, of the
// latest version and of that in version 4 of the actions, in cells of two jobs. It needs
// the network to be installed, so it runs only when asked for.
func TestOnlineArtifacts(t *testing.T) {
	if os.Getenv("ZVIZ_TEST_ONLINE") != "1" {
		t.Skip("needs the network: set ZVIZ_TEST_ONLINE=1")
	}
	testenv.NeedRoot(t)
	npm := testenv.NeedTool(t, "npm")
	for _, tt := range []struct{ version, entry string }{
		{"6.2.1", "lib/artifact.js"},
		{"2.3.2", "lib/artifact.js"},
	} {
		t.Run(tt.version, func(t *testing.T) {
			base, err := os.MkdirTemp("/var/tmp", "zviz-artifacts") //nolint:usetesting // the sandbox has a /tmp of its own
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(base) })
			if err := os.Chmod(base, 0o755); err != nil {
				t.Fatal(err)
			}
			client := filepath.Join(base, "client")
			cmd := exec.CommandContext(t.Context(), npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", client, "@actions/artifact@"+tt.version)
			if out, err := cmd.CombinedOutput(); err != nil {
				testenv.Missing(t, "this machine cannot reach its own registry: %v\n%s", err, out)
			}
			x, err := executor.New(executor.Config{StateDir: filepath.Join(base, "state"), Environ: []string{"PATH=/usr/bin:/bin"}})
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(base, "out")
			run, err := results.Open(results.Config{Dir: dir, MaxBytes: 400 << 20})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := run.Close(); err != nil {
					t.Error(err)
				}
			})
			head := strings.ReplaceAll(artifactScript, "ENTRY", "node_modules/@actions/artifact/"+tt.entry)
			raw := tt.version[0] >= '6'
			up, down := head+uploadScript, head+downloadScript
			if raw {
				up, down = up+rawScript, down+rawDownloadScript
			}
			build := serveArtifacts(t, x, run, "build", client)
			content(t, "upload", build, up+quotaScript)
			content(t, "download", serveArtifacts(t, x, run, "test", client), down)
			var got []string
			for _, a := range run.Artifacts() {
				info, err := os.Stat(filepath.Join(dir, a.File))
				if err != nil || info.Size() != a.Size {
					t.Errorf("%v: %v", a, err)
				}
				got = append(got, a.File)
			}
			want := []string{"empty.zip", "large.zip", "many files.zip"}
			if raw {
				want = append(want, "a report.html", "none.bin")
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			z, err := zip.OpenReader(filepath.Join(dir, "many files.zip"))
			if err != nil || len(z.File) != 500 {
				t.Fatalf("many files.zip: %v", err)
			}
			_ = z.Close()
			if n := build.cell.Served()["results"]; n < 40 {
				t.Errorf("%d requests", n)
			}
			if events := build.cell.Events(); len(events) > 0 {
				t.Errorf("events: %+v", events)
			}
		})
	}
}

func content(t *testing.T, name string, s *served, script string) {
	t.Helper()
	out, res := s.node(name+".mjs", script)
	for line := range strings.Lines(out) {
		for _, p := range []string{"LARGE", "DOWNLOADED", "REFUSED"} {
			if strings.HasPrefix(line, p) {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
	if res.ExitCode != 0 || strings.Contains(out, "WRONG") || strings.Contains(out, "Attempt ") {
		t.Errorf("%s: exit code %d\n%s", name, res.ExitCode, out[max(0, len(out)-6000):])
	}
}
