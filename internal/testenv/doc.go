// SPDX-License-Identifier: Apache-2.0

// Package testenv says what a test needs of the machine.
//
//	func TestX(t *testing.T) {
//		testenv.NeedRoot(t)
//		curl := testenv.NeedTool(t, "curl")
//
// What is missing skips the test with the reason. With ZVIZ_TEST_REQUIRE=1 it
// fails the test instead, so that a CI job cannot pass by testing nothing.
package testenv
