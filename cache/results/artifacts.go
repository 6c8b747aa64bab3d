// SPDX-License-Identifier: Apache-2.0

package results

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// create begins an upload.
func (j *Job) create(q *request, base string) (*created, error) {
	if err := checkName(q.Name); err != nil {
		return nil, invalid(err)
	}
	if q.Version < 4 {
		return nil, invalid(fmt.Errorf("artifacts of version %d: 4 and later are served", q.Version))
	}
	u := newUpload(j, q.Name, mediaType(q.MimeType))
	r := j.run
	r.mu.Lock()
	mine, again := 0, ""
	for id, o := range r.uploads {
		switch {
		case o.name == q.Name:
			again = id
		case o.job == j:
			mine++
		}
	}
	var err error
	switch {
	case !j.live() || r.closed:
		err = forbidden("the job has ended")
	case r.artifacts[q.Name] != nil, again != "" && r.uploads[again].job != j:
		err = exists("an artifact with this name already exists on the workflow run")
	case len(r.artifacts)+len(r.uploads) >= artifactsMost:
		err = exhausted(fmt.Sprintf("a run can have %d artifacts", artifactsMost))
	case mine >= uploadsMost:
		err = exhausted(fmt.Sprintf("a job can upload %d artifacts at the same time", uploadsMost))
	}
	var old *upload
	if err == nil {
		if again != "" { // the client did not get our first answer
			old = r.uploads[again]
			delete(r.uploads, again)
		}
		r.uploads[u.id] = u
	}
	r.mu.Unlock()
	if old != nil {
		old.drop()
	}
	if err != nil {
		return nil, err
	}
	return &created{true, j.address(base, toWrite, u.id, time.Now().Add(uploadLife))}, nil
}

// finalize puts an upload into the folder.
func (j *Job) finalize(q *request) (*done, error) {
	r := j.run
	r.mu.Lock()
	var u *upload
	for _, o := range r.uploads {
		if o.job == j && o.name == q.Name {
			u = o
		}
	}
	a := r.artifacts[q.Name]
	r.mu.Unlock()
	if u == nil {
		if a != nil && a.job == j && q.Hash == a.Digest { // it did not get our first answer
			return &done{true, a.id}, nil
		}
		return nil, notFound("no upload of that name is under way")
	}
	id, err := u.publish(q)
	if err != nil {
		return nil, err
	}
	return &done{true, id}, nil
}

// list shows what the run has.
func (j *Job) list(q *request) (*listed, error) {
	r := j.run
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &listed{Artifacts: []listedOne{}}
	for _, a := range r.artifacts {
		if q.ByName != nil && *q.ByName != a.Name || q.ByID != nil && *q.ByID != a.id {
			continue
		}
		out.Artifacts = append(out.Artifacts, listedOne{r.id, a.Job, a.id, a.Name, a.Size, a.Created, a.Digest})
	}
	slices.SortFunc(out.Artifacts, func(a, b listedOne) int { return int(a.ID - b.ID) })
	return out, nil
}

// named returns an artifact that a request names. The caller holds mu.
func (j *Job) named(q *request) (*artifact, error) {
	a := j.run.artifacts[q.Name]
	if a == nil || a.Job != q.Job {
		return nil, notFound("no such artifact in this run")
	}
	return a, nil
}

// link returns an address to read an artifact from.
func (j *Job) link(q *request, base string) (*linked, error) {
	j.run.mu.Lock()
	defer j.run.mu.Unlock()
	a, err := j.named(q)
	if err != nil {
		return nil, err
	}
	return &linked{j.address(base, toRead, strconv.FormatInt(a.id, 10), time.Now().Add(downloadLife))}, nil
}

// remove deletes an artifact: one of the job's own, if Config does not say more.
func (j *Job) remove(q *request) (*done, error) {
	r := j.run
	r.mu.Lock()
	defer r.mu.Unlock()
	a, err := j.named(q)
	if err != nil {
		return nil, err
	}
	if a.job != j && !r.cfg.DeleteAny {
		return nil, forbidden(fmt.Sprintf("the artifact is the job %s's: only it can delete or overwrite it", a.Job))
	}
	if err := r.root.Remove(a.File); err != nil {
		return nil, fmt.Errorf("delete the artifact: %w", pathless(err))
	}
	delete(r.artifacts, a.Name)
	r.used -= a.Size
	r.manifest = r.manifest.without(a.File)
	if err := r.writeManifest(); err != nil {
		return nil, pathless(err)
	}
	return &done{true, a.id}, nil
}

// publish compares what was uploaded with what the client says, and puts it into the
// folder under its name.
func (u *upload) publish(q *request) (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b := u.blob
	switch {
	case u.dropped || b == nil:
		return 0, &twirpError{400, "failed_precondition", "nothing was uploaded, or its list of blocks is missing"}
	case q.Hash != "" && q.Hash != b.digest:
		return 0, &twirpError{409, "aborted", "the digest of what was uploaded is " + b.digest}
	case q.Hash == "" && q.Size != b.size:
		return 0, invalid(fmt.Errorf("%d bytes were uploaded, not %d", b.size, q.Size))
	}
	r := u.job.run
	if err := errors.Join(b.file.Chmod(0o644), ownAs(b.file, r.folder)); err != nil {
		return 0, fmt.Errorf("artifact: %w", pathless(err))
	}
	if !r.cfg.Temporary {
		if err := b.file.Sync(); err != nil {
			return 0, fmt.Errorf("artifact: %w", pathless(err))
		}
	}
	info, err := b.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("artifact: %w", pathless(err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.uploads[u.id] != u || !u.job.live() {
		return 0, forbidden("the job has ended")
	}
	file, err := r.freeName(u.name, u.mediaType)
	if err != nil {
		return 0, err
	}
	r.lastID++
	a := &artifact{id: r.lastID, job: u.job, info: info, entry: entry{
		Name: u.name, File: file, Size: b.size, Digest: b.digest, Type: u.mediaType,
		Run: r.id, Job: u.job.id, Created: time.Now().UTC().Truncate(time.Second),
	}}
	if err := r.root.Rename(b.name, file); err != nil {
		return 0, fmt.Errorf("artifact: %w", pathless(err))
	}
	b.name = "" // dropping the upload leaves it
	r.artifacts[u.name] = a
	delete(r.uploads, u.id)
	r.used += b.size - u.taken // blocks that no list named are gone with it
	r.blocks -= u.blocks
	u.taken, u.blocks = 0, 0
	u.end()
	r.manifest = r.manifest.with(a.entry)
	if err := r.writeManifest(); err != nil {
		return 0, fmt.Errorf("artifact: %w", pathless(err))
	}
	return a.id, nil
}

// pathless is an error without the names of our files, which are no job's business.
func pathless(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return errors.New("the disk or the folder of the artifacts fails")
}
