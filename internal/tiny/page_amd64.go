// SPDX-License-Identifier: Apache-2.0

package tiny

// pageSize is the largest page that programs may meet. Up to it the file is filled
// with zeros, and each sandbox has a file.
const pageSize = 0x1000
