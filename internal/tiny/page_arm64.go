// SPDX-License-Identifier: Apache-2.0

package tiny

const pageSize = 0x10000 // a kernel may have pages of 64 KiB
