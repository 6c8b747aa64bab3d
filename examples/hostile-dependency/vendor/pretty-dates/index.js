// SPDX-License-Identifier: Apache-2.0

exports.prettyDate = (date) => date.toISOString().slice(0, 10);
