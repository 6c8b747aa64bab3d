// SPDX-License-Identifier: Apache-2.0

// Package page makes one self-contained HTML page of a report: a picture of who
// talked to whom, and tables of everything the report holds.
//
//	err := page.Write(w, report)
//
// The page has no script, loads nothing, and forbids both by its content security
// policy. Names in a report are chosen by a hostile job: each goes through one
// function that escapes markup, control characters and marks that reorder text, and
// cuts what is long. html/template is not used: its package init would cost every
// start of the runner 70 µs.
package page
