// SPDX-License-Identifier: Apache-2.0

// Package mask hides secret values in a stream of output, also when a value is
// split over writes and in the encodings in which tools and attackers print it.
//
//	w := mask.New(os.Stdout, []string{token})
//	defer w.Flush()
//
// It hides each value as it is, each of its lines, these also without the blanks around
// them, and all of them as base64 (standard and URL alphabet, at any alignment, in lines
// as base64 and openssl print it), hex, and escaped for URLs, JSON, XML and HTML, shells
// and expressions: see Needles. It cannot hide what a job encrypts, compresses or spells
// out letter by letter. Values shorter than four bytes are not hidden: they would blot
// out ordinary text. Values that overlap or touch each other are hidden as one.
package mask

// Text replaces a hidden value.
const Text = "***"

// Shortest is the length of the shortest value that is hidden, in bytes.
const Shortest = 4
