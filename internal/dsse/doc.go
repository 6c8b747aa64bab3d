// SPDX-License-Identifier: Apache-2.0

// Package dsse signs and verifies Dead Simple Signing Envelopes, version 1
// (github.com/secure-systems-lab/dsse), by Ed25519 or ECDSA on P-256.
//
//	key, err := dsse.ParseSigner(pem)
//	envelope, err := dsse.Sign(key, dsse.InToto, statement)
//
// The reference library is not used: it links an SSH implementation, whose package
// init costs every start of the runner 120 µs. A test has openssl verify what is signed
// here; cosign and others read the same form.
package dsse
