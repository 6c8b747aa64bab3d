// SPDX-License-Identifier: Apache-2.0

// Package results is what the clients of GitHub's results service talk to: the
// artifacts of one run, kept in a folder of the user's.
//
//	run, err := results.Open(results.Config{Dir: "out"})
//	defer run.Close()
//	job, err := run.Job("build")
//	defer job.End()
//	serve(job)                     // an http.Handler, in that job's network only
//	env := job.Env("http://169.254.1.1:8480")
//
// It speaks what actions/upload-artifact and download-artifact of version 4 and later
// do (Twirp with JSON, then uploads in blocks as to Azure's Put Block and Put Block
// List). An artifact is in the folder, under its final name, once the client has
// finished it and its SHA-256 was compared; not before, and never in part:
//
//	NAME.zip                what the job uploaded, byte by byte; nothing is unpacked here
//	NAME                    what was uploaded without an archive (archive: false)
//	.zviz-artifacts.json    name, file, size, digest, job and time of each
//	.zviz-tmp-…             what is being uploaded; gone with the run
//
// A job is hostile. What it can do:
//   - Its token is good in its own network and until End; so are the addresses that it
//     gets for uploads and downloads, each for one blob, one method and a time.
//   - It sees all artifacts of its run, as at GitHub, and can delete its own; with
//     Config.DeleteAny those of others too, which upload-artifact/merge wants for
//     delete-merged.
//   - Names become file names, so those are refused that could be a path. The folder
//     must be empty or one that was filled by a run, and no other file is ever
//     replaced, so that a job cannot put an .envrc or a Makefile into a project.
//   - Bytes of the run, blocks, artifacts and uploads at the same time are bounded,
//     and some of the disk stays free.
//
// What it cannot do: the actions cache, artifacts of other runs, and version 3 of the
// actions, which use other services. Two runs cannot fill one folder at the same time.
package results
