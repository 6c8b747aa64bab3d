// SPDX-License-Identifier: Apache-2.0

package tiny

const pageSize = 0x1000
