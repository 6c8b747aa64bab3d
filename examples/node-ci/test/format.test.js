// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, parse } from '../lib/index.js';

test('there and back', () => {
  for (let s = 0; s < 10000; s += 7) {
    assert.equal(parse(format(s)), s);
  }
});
