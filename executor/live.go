// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/zviz/run/egress"
)

// liveName is the file in a job's state folder that has its events so far, a JSON
// object a line, for who wants to watch.
const liveName = "events.jsonl"

// LiveEvents returns where the events of running jobs are written, by the job's id. A
// job is there as long as it runs, and from its first event on.
func LiveEvents(stateDir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(stateDir, "jobs", "*", liveName))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, f := range files {
		out[filepath.Base(filepath.Dir(f))] = f
	}
	return out, nil
}

// live appends events to a file. It is for watching only: an event that cannot be
// written is in the report all the same.
type live struct {
	file   *os.File
	failed bool
}

func (l *live) write(dir string, e egress.Event) {
	if l.failed {
		return
	}
	var err error
	if l.file == nil {
		l.file, err = os.OpenFile(filepath.Join(dir, liveName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	var line []byte
	if err == nil {
		line, err = json.Marshal(e)
	}
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	l.failed = err != nil
}

func (l *live) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
