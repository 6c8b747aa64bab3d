// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from '../lib/index.js';

test('units', () => assert.equal(parse('1h30m5s'), 5405));
test('nonsense', () => assert.throws(() => parse('soon'), /is no duration/));
