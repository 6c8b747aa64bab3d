// SPDX-License-Identifier: Apache-2.0

// Package realwork adds numbers in C.
package realwork

/*
#include <stdint.h>
static int64_t sum(const int64_t *n, int64_t len) {
	int64_t s = 0;
	for (int64_t i = 0; i < len; i++) s += n[i];
	return s;
}
*/
import "C"

import "unsafe"

// Sum adds the numbers.
func Sum(n []int64) int64 {
	if len(n) == 0 {
		return 0
	}
	return int64(C.sum((*C.int64_t)(unsafe.Pointer(&n[0])), C.int64_t(len(n))))
}
